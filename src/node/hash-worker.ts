// The other thread of hash-thread.ts, which starts it and gives it orders: hashes chunks of shared memory in the order in which they
// come. It knows nothing of the rest of the server, and must never write to a chunk.
import { createHash, type Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";

/** `memory`: where this chunk and the next ones stand, when it is another than before. After finish or cancel nothing comes. */
export type HashOrder =
  | { readonly kind: "open"; readonly stream: number; readonly counter: Int32Array }
  | {
      readonly kind: "update";
      readonly stream: number;
      readonly memory: ArrayBufferLike | undefined;
      readonly at: number;
      readonly length: number;
    }
  | { readonly kind: "finish" | "cancel"; readonly stream: number };

export type HashAnswer = { readonly stream: number; readonly digest: Uint8Array };

type Work = { readonly hash: Hash; readonly counter: Int32Array; memory: ArrayBufferLike };

const works = new Map<number, Work>();

function obey(order: HashOrder): void {
  const { kind, stream } = order;
  if (kind === "open") {
    const { counter } = order;
    works.set(stream, { hash: createHash("sha256"), counter, memory: counter.buffer });
    return;
  }
  const work = works.get(stream);
  // Canceled when its digest was already on its way.
  if (work === undefined) return;
  if (kind === "update") {
    work.memory = order.memory ?? work.memory;
    work.hash.update(new Uint8Array(work.memory, order.at, order.length));
    Atomics.add(work.counter, 0, 1);
    return;
  }
  works.delete(stream);
  if (kind === "finish") parentPort!.postMessage({ stream, digest: work.hash.digest() } satisfies HashAnswer);
}

parentPort!.on("message", obey);
