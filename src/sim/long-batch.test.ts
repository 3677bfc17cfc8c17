// Goal: however much is committed at once, clients are heard in between. Method: a member on a simulated clock that is told, at each batch
// it applies, that some milliseconds have passed; thousands of puts in one turn; and how much it applied from one event to the next.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "../base/brand.ts";
import { encodePutRequest } from "../wire/generated/etcdserverpb.ts";
import { putRequest } from "./client.ts";
import { started } from "./several.test.ts";

/** What a batch takes here. raft-engine.ts allows a turn four milliseconds: it ends behind the third batch. */
const BATCH_MILLIS = 2;
const BATCHES_MAX = 3;

test("a turn ends while committed entries are left, and the next one goes on with them", async () => {
  const cluster = await started(1);
  const [machine] = cluster.machines;
  const { member } = machine!;
  let applied = 0;
  let spent = 0;
  const { clock, hub } = member;
  const now = clock.now.bind(clock);
  clock.now = () => (now() + spent) as Millis;
  const flush = hub.flush.bind(hub);
  hub.flush = () => {
    applied++;
    spent += BATCH_MILLIS;
    flush();
  };

  const value = "v".repeat(300);
  const calls = Array.from(
    { length: 3000 },
    (_, n) => machine!.call("/etcdserverpb.KV/Put", encodePutRequest(putRequest(`k${n}`, value)), () => {})!,
  );
  let before = applied;
  let most = 0;
  await cluster.until("all puts are answered", () => {
    most = Math.max(most, applied - before);
    before = applied;
    return calls.every((call) => call.done);
  });
  assert.ok(applied > 3 * BATCHES_MAX, `${applied} batches are several turns' work`);
  assert.equal(most, BATCHES_MAX);
  for (const call of calls) assert.equal(call.error, undefined);
});
