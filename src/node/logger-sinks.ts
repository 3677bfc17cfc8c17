// Where log lines go: a file descriptor, a file, a rotated file, or the journal. Lines are kept for one turn and written together;
// what a slow pipe does not take is bounded, counted and said. Owned by src/node/logger; nothing here may throw into a caller.
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, write, writeSync } from "node:fs";
import { dirname } from "node:path";
import { backupName, type RotationConfig, rotateFile } from "./logger-rotation.ts";

/** Bytes of lines that wait for their output; beyond it lines are dropped and counted. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024;
/** How long a flush at the end of the process waits for a pipe that takes nothing. */
const FINAL_FLUSH_MILLIS_MAX = 2000;
const JOURNAL_SOCKET = "/run/systemd/journal/socket";
/** Pause before the next try when the output says EAGAIN. */
const RETRY_MILLIS = 5;

export interface LogSink {
  write(line: string): void;
  /** Resolves when everything written so far is out, or the output has taken nothing for a while. */
  flush(): Promise<void>;
  /** For a process that ends now: writes everything that waits. A write still in flight may then appear twice. */
  flushSync(): void;
  close(): void;
}

/** Writes to an open descriptor. With `rotation` (and a path) it starts a new file when the next bytes would not fit. */
export class DescriptorSink implements LogSink {
  #fd: number;
  readonly #path: string | undefined;
  readonly #rotation: RotationConfig | undefined;
  #waiting: string[] = [];
  #waitingBytes = 0;
  /** What the thread pool is writing. While it is set the descriptor must not be closed: its number could be another file's. */
  #inFlight: Buffer | undefined = undefined;
  /** The bytes in flight were also written synchronously: what they leave over is not written again. */
  #inFlightCopied = false;
  #dropped = 0;
  #scheduled = false;
  #fileBytes = 0;
  #onIdle: (() => void)[] = [];

  constructor(fd: number, path?: string, rotation?: RotationConfig) {
    this.#fd = fd;
    this.#path = path;
    this.#rotation = rotation;
    if (rotation !== undefined) this.#fileBytes = fstatSync(fd).size;
  }

  write(line: string): void {
    if (this.#waitingBytes + line.length > PENDING_BYTES_MAX) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (this.#scheduled || this.#inFlight !== undefined) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  flush(): Promise<void> {
    if (this.#inFlight === undefined && this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const giveUp = setTimeout(resolve, FINAL_FLUSH_MILLIS_MAX);
      this.#onIdle.push(() => {
        clearTimeout(giveUp);
        resolve();
      });
    });
  }

  flushSync(): void {
    if (this.#inFlight !== undefined && !this.#inFlightCopied) {
      this.#writeSync(this.#inFlight);
      this.#inFlightCopied = true;
    }
    const bytes = this.#take();
    if (bytes === undefined) return;
    if (this.#inFlight === undefined) this.#makeRoom(bytes.length);
    this.#writeSync(bytes);
  }

  close(): void {
    this.flushSync();
    if (this.#path !== undefined && this.#inFlight === undefined) closeSync(this.#fd);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#inFlight !== undefined) return;
    const bytes = this.#take();
    if (bytes !== undefined) {
      this.#makeRoom(bytes.length);
      this.#writeAsync(bytes);
      return;
    }
    const waiters = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiters) resolve();
  };

  /** All waiting lines as bytes, with a word about those that were dropped. */
  #take(): Buffer | undefined {
    if (this.#waiting.length === 0) return undefined;
    if (this.#dropped > 0)
      this.#waiting.push(`${this.#dropped} log lines were dropped: the output was too slow\n`);
    this.#dropped = 0;
    const bytes = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    this.#waitingBytes = 0;
    return bytes;
  }

  #writeAsync(bytes: Buffer): void {
    this.#inFlight = bytes;
    write(this.#fd, bytes, (error, written) => {
      const again = error !== null && error.code === "EAGAIN";
      // Any other error loses these lines: there is no place left to tell it.
      const rest = error === null ? bytes.subarray(written) : undefined;
      if (again) setTimeout(() => this.#writeRest(bytes), RETRY_MILLIS);
      else this.#writeRest(rest);
    });
  }

  #writeRest(rest: Buffer | undefined): void {
    if (rest !== undefined && rest.length > 0 && !this.#inFlightCopied) {
      this.#writeAsync(rest);
      return;
    }
    this.#inFlight = undefined;
    this.#inFlightCopied = false;
    this.#flush();
  }

  #writeSync(bytes: Buffer): void {
    const deadline = Date.now() + FINAL_FLUSH_MILLIS_MAX;
    let at = 0;
    while (at < bytes.length) {
      try {
        at += writeSync(this.#fd, bytes, at);
      } catch (error) {
        // A closed pipe has no reader to tell about it; only "try again" is worth a wait.
        if (!(error instanceof Error && "code" in error && error.code === "EAGAIN") || Date.now() > deadline)
          return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MILLIS);
      }
    }
  }

  #makeRoom(bytes: number): void {
    const rotation = this.#rotation;
    const path = this.#path;
    if (rotation === undefined || path === undefined) return;
    if (this.#fileBytes > 0 && this.#fileBytes + bytes > rotation.sizeBytesMax) {
      closeSync(this.#fd);
      this.#fd = rotateFile(path, backupName(path, new Date(), rotation.localTime), rotation);
      this.#fileBytes = 0;
    }
    this.#fileBytes += bytes;
  }
}

/**
 * Prefixes each line with the priority that systemd's journal reads from a unit's stderr: `<6>` info, `<4>` warning … The journal's
 * own socket takes datagrams, which Node cannot send; etcd's fallback is stderr too.
 */
export class JournalSink implements LogSink {
  readonly #below: LogSink;
  constructor(below: LogSink) {
    this.#below = below;
  }
  write(line: string): void {
    this.#below.write(`<${journalPriority(line)}>${line}`);
  }
  flush(): Promise<void> {
    return this.#below.flush();
  }
  flushSync(): void {
    this.#below.flushSync();
  }
  close(): void {
    this.#below.close();
  }
}

function journalPriority(line: string): number {
  const level = /^\{"level":"([a-z]+)"|^[^\t]*\t([a-z]+)\t/.exec(line);
  switch (level?.[1] ?? level?.[2]) {
    case "debug":
      return 7;
    case "warn":
      return 4;
    case "error":
      return 3;
    case "dpanic":
    case "panic":
    case "fatal":
      return 2;
    default:
      return 6;
  }
}

/** Opens one --log-outputs target. Throws what the file system says: the caller turns it into a start-up error. */
export function openSink(target: string, rotation: RotationConfig | undefined): LogSink {
  switch (target) {
    case "default":
    case "stderr":
      return new DescriptorSink(2);
    case "stdout":
      return new DescriptorSink(1);
    case "systemd/journal":
      if (!existsSync(JOURNAL_SOCKET)) {
        const reason = `dial unixgram ${JOURNAL_SOCKET}: connect: no such file or directory`;
        throw new Error(`can't find journal (${reason})`);
      }
      return new JournalSink(new DescriptorSink(2));
    case "/dev/null":
      return { write() {}, flush: () => Promise.resolve(), flushSync() {}, close() {} };
    default:
      if (rotation === undefined) return new DescriptorSink(openSync(target, "a", 0o666), target);
      mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
      return new DescriptorSink(openSync(target, "a", 0o600), target, rotation);
  }
}
