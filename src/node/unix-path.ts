// How long the path of a unix socket may be. The engine cuts a longer one off without a word and would serve, or call, at another place.

/** Of sockaddr_un's sun_path, whose last byte is a zero. */
const PATH_BYTES = process.platform === "linux" ? 108 : 104;

/** Where it does not, the system's own answer is EINVAL. */
export function unixPathFits(path: string): boolean {
  return Buffer.byteLength(path) < PATH_BYTES;
}
