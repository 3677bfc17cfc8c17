// Goal: `cairn heal` replaces exactly the member whose directory it is given, loses neither its data nor the quorum, and can be cut off anywhere
// and run again. Method: a simulated disk that loses power at every single operation, a cluster that is a list.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, type MemberId, memberId } from "../base/brand.ts";
import { readTicket } from "../member/upkeep/heal-ticket.ts";
import { SimDisk } from "../sim/disk.ts";
import { SeededRandom } from "../sim/random.ts";
import { type HealCluster, HealError, type HealMember, heal } from "./heal-steps.ts";

const OPTIONS = { dataDirectory: "/data", walDirectory: "", memberId: undefined };
const BAD = memberId(0xbadn);

class FakeCluster implements HealCluster {
  list: HealMember[] = [1n, 2n, 0xbadn].map((id) => ({
    id: memberId(id),
    name: `m${id}`,
    peerUrls: [`http://${id}:2380`],
    clientUrls: [`http://${id}:2379`],
    isLearner: false,
  }));
  named: bigint[] = [BAD];
  down: bigint[] = [];
  #next = 100n;

  members() {
    return Promise.resolve({ clusterId: clusterId(7n), members: this.list });
  }
  corrupt() {
    return Promise.resolve(this.named);
  }
  isHealthy({ id }: HealMember) {
    return Promise.resolve(!this.down.includes(id));
  }
  remove(id: MemberId) {
    assert.equal(id, BAD, "nobody else is removed");
    this.list = this.list.filter((each) => each.id !== id);
    return Promise.resolve();
  }
  addLearner(peerUrls: readonly string[]) {
    const id = memberId(this.#next++);
    this.list = [...this.list, { id, name: "", peerUrls, clientUrls: [], isLearner: true }];
    return Promise.resolve(id);
  }
}

function newDisk(): SimDisk {
  const disk = new SimDisk({ random: new SeededRandom(1) });
  disk.place("/data/other", Buffer.from("x"));
  disk.place(
    "/data/member/cairn/MANIFEST",
    Buffer.from('cairn-manifest 1 0\n{"memberId":"bad","clusterId":"7"}\n'),
  );
  disk.place("/data/member/cairn/LOCK", Buffer.from(""));
  disk.place("/data/member/other", Buffer.from("x"));
  return disk;
}

const silent = (): void => {};

test("the member is replaced as a learner at its own URLs, and its directory is kept", async () => {
  const [cluster, disk] = [new FakeCluster(), newDisk()];
  await heal(OPTIONS, cluster, disk.attach(), silent);
  assert.deepEqual(
    cluster.list.map(({ id, isLearner }) => [id, isLearner]),
    [
      [1n, false],
      [2n, false],
      [100n, true],
    ],
  );
  assert.equal(await disk.exists("/data/member"), false);
  assert.ok(await disk.exists("/data/member.healed-bad/cairn/MANIFEST"));
  const ticket = (await readTicket(disk.attach(), "/data"))!;
  assert.deepEqual([ticket.step, ticket.oldId, ticket.newId], ["ready", BAD, 100n]);
  assert.deepEqual(ticket.others, ["http://1:2380", "http://2:2380"]);
  const said: string[] = [];
  await heal(OPTIONS, cluster, disk.attach(), (line) => said.push(line));
  assert.match(said[0]!, /^Already done: member bad is 64 now/);
  assert.equal(cluster.list.length, 3);
});

test("cut off at any operation of the disk and run again it comes to the same end", async () => {
  const whole = newDisk();
  await heal(OPTIONS, new FakeCluster(), whole.attach(), silent);
  for (let at = 0; at < 40; at++) {
    const [cluster, disk] = [new FakeCluster(), newDisk()];
    let count = 0;
    disk.fault = () => (count++ === at ? "crash" : undefined);
    const first = heal(OPTIONS, cluster, disk.attach(), silent).then(
      () => "done",
      () => "cut off",
    );
    const outcome = await Promise.race([first, new Promise((resolve) => setImmediate(resolve, "hangs"))]);
    disk.fault = undefined;
    if (outcome === "done") break;
    disk.restart();
    await heal({ ...OPTIONS, memberId: BAD }, cluster, disk.attach(), silent);
    assert.deepEqual(
      cluster.list.map(({ id }) => id),
      [1n, 2n, 100n],
      `operation ${at}`,
    );
    assert.equal((await readTicket(disk.attach(), "/data"))?.step, "ready");
    assert.equal(await disk.exists("/data/member"), false);
    assert.ok(await disk.exists("/data/member.healed-bad/cairn/MANIFEST"), `operation ${at}`);
  }
});

test("without a quorum of good others, or with another's directory, nothing is changed", async () => {
  const refused = async (change: (cluster: FakeCluster) => void, text: RegExp): Promise<void> => {
    const [cluster, disk] = [new FakeCluster(), newDisk()];
    change(cluster);
    const before = [...cluster.list];
    await assert.rejects(heal(OPTIONS, cluster, disk.attach(), silent), (error) => {
      assert(error instanceof HealError);
      assert.match(error.message, text);
      return true;
    });
    assert.deepEqual(cluster.list, before);
    assert.equal(await readTicket(disk.attach(), "/data"), undefined);
    assert.ok(await disk.exists("/data/member/cairn/MANIFEST"));
  };
  await refused(
    (cluster) => cluster.down.push(1n),
    /without member bad there would be no quorum.*these are: 2 \(m2\)/,
  );
  await refused((cluster) => cluster.named.push(2n), /these are: 1 \(m1\)/);
  await refused((cluster) => {
    cluster.list = cluster.list.slice(0, 2);
  }, /the cluster has no member bad/);
});

test("a member that runs is not healed", async () => {
  const disk = newDisk();
  const lock = await disk.attach().lock("/data/member/cairn/LOCK");
  await assert.rejects(
    heal(OPTIONS, new FakeCluster(), disk.attach(), silent),
    /is in use: stop this member first/,
  );
  await lock.unlock();
});
