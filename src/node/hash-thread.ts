// SHA-256 of long streams on a thread of its own, so that who makes the stream goes on: the backup's digest costs as much as its pages.
// One thread serves all streams of a server; it starts with the first and ends with the last. Chunks are shared memory, not copied. When
// the thread fails or ends, each of its streams is told, once; a later stream starts a new thread.
import { Worker } from "node:worker_threads";
import type { Digest, StreamDigest } from "../ports/digest.ts";
import type { HashAnswer, HashOrder } from "./hash-worker.ts";

const WORKER = new URL("./hash-worker.js", import.meta.url);

/** The Digest port's sha256Stream. `worker`: another program for the thread, which tests let fail. */
export function hashThread(worker: URL = WORKER): Digest["sha256Stream"] {
  const thread = new HashThread(worker);
  return (onFailure) => thread.open(onFailure);
}

class HashThread {
  readonly #program: URL;
  readonly #streams = new Map<number, ThreadStream>();
  #worker: Worker | undefined;
  #lastStream = 0;

  constructor(program: URL) {
    this.#program = program;
  }

  open(onFailure: (error: Error) => void): ThreadStream {
    const id = ++this.#lastStream;
    const stream = new ThreadStream(this, id, onFailure);
    try {
      this.#worker ??= this.#start();
    } catch (error) {
      queueMicrotask(() => onFailure(error as Error));
      return stream;
    }
    this.#streams.set(id, stream);
    this.order({ kind: "open", stream: id, counter: stream.counter });
    return stream;
  }

  /** Orders of a stream whose thread is gone lead nowhere: it has been told. */
  order(order: HashOrder): void {
    if (this.#streams.has(order.stream)) this.#worker?.postMessage(order);
  }

  close(id: number): void {
    if (!this.#streams.delete(id) || this.#streams.size > 0) return;
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(this.#program);
    worker.on("message", ({ stream, digest }: HashAnswer) => {
      if (worker === this.#worker) this.#streams.get(stream)?.finished(digest);
    });
    worker.on("error", (error) => this.#fail(worker, error));
    worker.on("exit", (code) => this.#fail(worker, new Error(`the hashing thread ended with code ${code}`)));
    return worker;
  }

  #fail(worker: Worker, error: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.failed(error);
  }
}

class ThreadStream implements StreamDigest {
  readonly counter: Int32Array = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #thread: HashThread;
  readonly #id: number;
  readonly #onFailure: (error: Error) => void;
  /** That of the last chunk: the thread is told of it once. */
  #memory: ArrayBufferLike | undefined;
  #then: ((digest: Uint8Array) => void) | undefined;

  constructor(thread: HashThread, id: number, onFailure: (error: Error) => void) {
    this.#thread = thread;
    this.#id = id;
    this.#onFailure = onFailure;
  }

  get updatesDone(): number {
    return Atomics.load(this.counter, 0);
  }

  update({ buffer, byteOffset, length }: Uint8Array): void {
    const memory = buffer === this.#memory ? undefined : buffer;
    this.#memory = buffer;
    this.#thread.order({ kind: "update", stream: this.#id, memory, at: byteOffset, length });
  }

  finish(then: (digest: Uint8Array) => void): void {
    this.#then = then;
    this.#thread.order({ kind: "finish", stream: this.#id });
  }

  cancel(): void {
    this.#thread.order({ kind: "cancel", stream: this.#id });
    this.#thread.close(this.#id);
  }

  finished(digest: Uint8Array): void {
    this.#thread.close(this.#id);
    this.#then?.(digest);
  }

  failed(error: Error): void {
    this.#onFailure(error);
  }
}
