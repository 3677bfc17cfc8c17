// Lists to which transactions append, several at once and nested: the words of a lost, doubled or half-done transaction would show.
import {
  CompareResult,
  CompareTarget,
  type RequestOp,
  type TxnRequest,
} from "../../wire/generated/etcdserverpb.ts";
import { compare, deleteRequest, op, putRequest, rangeRequest, SimClient } from "../client.ts";
import { type SimContext, sleep, type Workload } from "../context.ts";
import { rowOf } from "../history.ts";
import type { SeededRandom } from "../random.ts";

const LISTS = 5;
const CLIENTS = 3;
/** A list longer than this begins anew. */
const LIST_CHARS_MAX = 400;

export const txnAppend: Workload = {
  name: "txn-append",
  run: async (sim, random) => {
    await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(sim, random.fork(), n)));
  },
};

async function client(sim: SimContext, random: SeededRandom, number: number): Promise<void> {
  const kv = new SimClient(sim);
  for (let n = 1; sim.running; n++) {
    const first = random.below(LISTS);
    const lists = [first, (first + 1 + random.below(LISTS - 1)) % LISTS].map((list) => `t/${list}`);
    const read = await kv.txn({
      compare: [],
      success: lists.map((list) => op.range(rangeRequest(list))),
      failure: [],
    });
    await sleep(sim, random.below(20));
    if (read.kind === "ok") {
      const found = read.response.responses.map(({ response }) =>
        response?.case === "responseRange" ? response.value.kvs[0] : undefined,
      );
      const before = found.map((kv) => (kv === undefined ? { mod: 0, value: "" } : rowOf(kv)));
      await kv.txn(append(random, lists, before, `${number}.${n}`));
    }
    await sleep(sim, random.below(300));
  }
}

/** Appends to both lists if neither has changed; otherwise leaves a note, by a txn in a txn. */
function append(
  random: SeededRandom,
  lists: readonly string[],
  before: readonly { readonly mod: number; readonly value: string }[],
  word: string,
): TxnRequest {
  const puts: RequestOp[] = lists.map((list, at) => {
    const { value } = before[at]!;
    return op.put(
      putRequest(list, value.length > LIST_CHARS_MAX ? word : `${value} ${word}`, { prevKv: random.once(2) }),
    );
  });
  const unchanged = lists.map((list, at) =>
    compare(list, CompareTarget.MOD, CompareResult.EQUAL, { case: "modRevision", value: before[at]!.mod }),
  );
  const note: TxnRequest = {
    compare: [
      compare("t/", CompareTarget.CREATE, CompareResult.GREATER, { case: "createRevision", value: 0 }, "t0"),
    ],
    success: [
      op.put(putRequest(`t/note/${word.split(".")[0]}`, word)),
      op.range(rangeRequest("t/", "t0", { keysOnly: false })),
    ],
    failure: [op.delete(deleteRequest("t/note/", "t/note0", true))],
  };
  return { compare: unchanged, success: puts, failure: [op.txn(note)] };
}
