// How many client connections one listener may hold: etcd keeps 150 file descriptors for itself and gives the rest to clients.
// main.ts asks once, before it listens.
export type ConnectionLimit =
  | { readonly ok: true; readonly connectionsMax: number }
  /** etcd logs it as fatal, with the fields. */
  | {
      readonly ok: false;
      readonly error: string;
      readonly fields: { readonly limit: number; readonly "recommended-limit": number };
    };

const RESERVED_FILES = 150;

export function connectionLimit(openFilesMax: number): ConnectionLimit {
  // 0 = the system does not say.
  if (openFilesMax === 0) return { ok: true, connectionsMax: Number.POSITIVE_INFINITY };
  if (openFilesMax > RESERVED_FILES) return { ok: true, connectionsMax: openFilesMax - RESERVED_FILES };
  return {
    ok: false,
    error: "file descriptor limit of etcd process is too low; please set higher",
    fields: { limit: openFilesMax, "recommended-limit": RESERVED_FILES },
  };
}
