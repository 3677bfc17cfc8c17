// Peer URLs as etcd's types.NewURLs takes them: scheme http or https (unix too), a host with a port, no path.

/** The URLs, sorted; undefined when one of them is not acceptable. */
export function parsePeerUrls(urls: readonly string[]): string[] | undefined {
  if (urls.length === 0) return undefined;
  const parsed: string[] = [];
  for (const url of urls) {
    const text = url.trim();
    if (!isPeerUrl(text)) return undefined;
    parsed.push(text);
  }
  return parsed.sort();
}

function isPeerUrl(text: string): boolean {
  const match = /^(http|https|unix|unixs):\/\/([^/?#]+)(\/[^?#]*)?$/.exec(text);
  if (match === null) return false;
  const [, scheme, authority, path] = match;
  if (scheme === "unix" || scheme === "unixs") return true;
  if (path !== undefined) return false;
  return /^([^:@\s]*|\[[0-9a-fA-F:.%]+\]):[0-9]{1,5}$/.test(authority!);
}
