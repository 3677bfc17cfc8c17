// The disk, as the member sees it. Two implementations: src/node/disk (real files) and src/sim/disk (in memory; loses or tears
// unsynced bytes on a simulated crash, injects ENOSPC, EIO, slow flushes and bit flips).
// Paths are absolute or relative to the working directory, with "/" between names.

/** Why an operation failed: `code` is the errno name (ENOSPC, EIO, ENOENT, EACCES, EEXIST, EAGAIN for a held lock …). */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: string;
  readonly path: string;
  constructor(code: string, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

export interface DiskFile {
  readonly path: string;
  /** Writes all bytes of all chunks, one after the other, from `position` on. Chunks must not change until it is done. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  writeSync(chunks: readonly Uint8Array[], position: number): void;
  /** fdatasync: all written bytes, and the size if it grew, survive a power loss. After a failure the state is unknown: stop. */
  sync(): Promise<void>;
  syncSync(): void;
  /** Reads up to `into.length` bytes from `position`; returns how many (fewer only at the end of the file). */
  read(into: Uint8Array, position: number): Promise<number>;
  readSync(into: Uint8Array, position: number): number;
  sizeSync(): number;
  truncate(size: number): Promise<void>;
  /** Reserves and zero-fills `size` bytes, so that later flushes write no metadata. */
  allocate(size: number): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** "read": must exist. "write": opened for reading and writing, created (mode 0600) when absent. "create": must not exist. */
  open(path: string, mode: "read" | "write" | "create"): Promise<DiskFile>;
  exists(path: string): Promise<boolean>;
  /** Names, sorted; an absent directory is an error with code ENOENT. */
  list(directory: string): Promise<string[]>;
  /** Atomic replacement; durable only after syncDirectory of both parents. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Creates it with its parents, mode 0700. */
  makeDirectory(directory: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
  /** Exclusive lock on a file, held until the process ends or unlock is called. DiskError EAGAIN when somebody else holds it. */
  lock(path: string): Promise<{ unlock(): Promise<void> }>;
  /** Free bytes of the volume that holds `path`. */
  freeBytes(path: string): Promise<number>;
}
