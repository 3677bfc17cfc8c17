// Goal: a first start that was cut off never begins another cluster than the one it was meant for. Method: a simulated disk on which the
// first start loses power at one operation after the other, and a second start that may not begin alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NoDataError } from "../member/open.ts";
import { Cluster } from "./several.test.ts";

test("a directory without data asks for its cluster again, however far the first start has come", async () => {
  let asked = 0;
  for (let at = 0; at < 30; at++) {
    const cluster = new Cluster(3);
    const [machine] = cluster.machines;
    let count = 0;
    machine!.fault = () => (count++ === at ? "crash" : undefined);
    await cluster.finish("a start", machine!.start()).catch(() => false);
    machine!.fault = undefined;
    if (machine!.on) machine!.kill();
    const { initialCluster, ...rest } = machine!.memberOptions;
    assert.equal(initialCluster?.kind, "new");
    machine!.memberOptions = { ...rest, mayBeginAlone: false };
    try {
      await cluster.finish("a start", machine!.start());
      assert.equal(machine!.member.clusterId, initialCluster?.clusterId);
      assert.equal(machine!.member.raft.confState.voters.length, 3);
    } catch (error) {
      assert(error instanceof NoDataError, String(error));
      asked++;
    }
  }
  assert.ok(asked > 0, "some were cut off early enough");
});
