// The other thread of hash-thread.ts, which starts it and gives it orders: hashes chunks of shared memory in the order in which they
// come. It knows nothing of the rest of the server, and must never write to a chunk.
import { createHash, type Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";

/** The first order of a stream brings its counter; each other one a chunk, or neither: then the digest is asked for. */
export type HashOrder = {
  readonly stream: number;
  readonly counter: Int32Array | undefined;
  readonly chunk: Uint8Array | undefined;
  readonly canceled: boolean;
};

export type HashAnswer = { readonly stream: number; readonly digest: Uint8Array };

type Work = { readonly hash: Hash; readonly counter: Int32Array };

const works = new Map<number, Work>();

function obey({ stream, counter, chunk, canceled }: HashOrder): void {
  if (counter !== undefined) {
    works.set(stream, { hash: createHash("sha256"), counter });
    return;
  }
  const work = works.get(stream);
  // Canceled when its digest was already on its way.
  if (work === undefined) return;
  const { hash, counter: done } = work;
  if (chunk !== undefined) {
    hash.update(chunk);
    Atomics.add(done, 0, 1);
    return;
  }
  works.delete(stream);
  if (!canceled) parentPort!.postMessage({ stream, digest: hash.digest() } satisfies HashAnswer);
}

parentPort!.on("message", obey);
