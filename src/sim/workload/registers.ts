// A few keys that many clients read, write, compare and delete, one key or a range at a time. Every value is written once, so that what
// is read tells who wrote it.
import { CompareResult, CompareTarget } from "../../wire/generated/etcdserverpb.ts";
import { compare, deleteRequest, op, putRequest, rangeRequest, SimClient } from "../client.ts";
import { type SimContext, sleep, type Workload } from "../context.ts";
import type { SeededRandom } from "../random.ts";
import { uniqueValue } from "./value.ts";

const KEYS = 8;
const CLIENTS = 4;

export const registers: Workload = {
  name: "registers",
  run: async (sim, random) => {
    await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(sim, random.fork(), n)));
  },
};

async function client(sim: SimContext, random: SeededRandom, number: number): Promise<void> {
  const kv = new SimClient(sim);
  const pace = random.pick([40, 150, 600]);
  for (let n = 1; sim.running; n++) {
    await act(sim, kv, random, () => uniqueValue(random, `w${number}.${n}`));
    await sleep(sim, random.below(pace));
  }
}

async function act(sim: SimContext, kv: SimClient, random: SeededRandom, value: () => string): Promise<void> {
  const key = `r/${random.below(KEYS)}`;
  const prevKv = random.once(2);
  switch (random.below(10)) {
    case 0:
      return kv.delete(deleteRequest(key, random.once(3) ? "r/\xff" : "", prevKv));
    case 1:
      await kv.range(rangeRequest("r/", "r0", { limit: random.below(4), countOnly: random.once(5) }));
      return;
    case 2:
      await kv.range(rangeRequest(key, "", { serializable: random.once(2) }));
      return;
    case 3:
      await kv.range(rangeRequest("r/", "r0", { revision: 1 + random.below(sim.observed) }));
      return;
    case 4:
      await kv.put(putRequest(key, "", { ignoreValue: true, prevKv }));
      return;
    case 5:
      return compareAndSwap(kv, random, key, value());
    default:
      await kv.put(putRequest(key, value(), { prevKv }));
  }
}

async function compareAndSwap(
  kv: SimClient,
  random: SeededRandom,
  key: string,
  value: string,
): Promise<void> {
  const read = await kv.range(rangeRequest(key));
  if (read.kind !== "ok") return;
  const found = read.response.kvs[0];
  const union = random.once(2)
    ? ({ case: "modRevision", value: found?.modRevision ?? 0 } as const)
    : ({ case: "version", value: found?.version ?? 0 } as const);
  const target = union.case === "version" ? CompareTarget.VERSION : CompareTarget.MOD;
  await kv.txn({
    compare: [compare(key, target, CompareResult.EQUAL, union)],
    success: [op.put(putRequest(key, value))],
    failure: [op.range(rangeRequest(key))],
  });
}
