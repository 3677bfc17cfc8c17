// Goal: a member whose log is older than what it acknowledged ends with etcd's text and the commands that help, and writes nothing. Method: real members on simulated disks, one of which is put back to an old copy.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CannotGoOnError } from "../member/membership/advice.ts";
import { DATA_DIRECTORY, type Machine } from "./machine.ts";
import { others, started } from "./several.test.ts";

const DIRECTORY = `${DATA_DIRECTORY}/member/cairn`;

async function copyOf({ disk }: Machine): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = await disk.list(DIRECTORY);
  return new Map(names.map((name) => [`${DIRECTORY}/${name}`, disk.bytesOf(`${DIRECTORY}/${name}`).slice()]));
}

async function putBack({ disk }: Machine, copy: ReadonlyMap<string, Uint8Array>): Promise<void> {
  disk.restart();
  for (const name of await disk.list(DIRECTORY)) await disk.remove(`${DIRECTORY}/${name}`);
  for (const [path, bytes] of copy) disk.place(path, bytes);
}

test("a member that was put back to an old copy of its disk ends before it writes, and says how to come back", async () => {
  const cluster = await started();
  const leader = await cluster.leader();
  const victim = others(cluster, leader)[0]!;
  await cluster.put(leader, "k", "1");
  await cluster.finish("a stop", victim.stop());
  const copy = await copyOf(victim);
  await cluster.finish("a start", victim.start());
  for (let n = 0; n < 5; n++) await cluster.put(leader, "k", `${n}`);
  await cluster.until(
    "it follows",
    () => victim.member.raft.appliedIndex === leader.member.raft.appliedIndex,
  );
  victim.kill();
  await putBack(victim, copy);
  await cluster.finish("a start", victim.start());
  const last = victim.member.log.raft.lastIndex();
  await cluster.until("it ends", () => victim.fatal !== undefined);
  assert(victim.fatal instanceof CannotGoOnError);
  assert.match(
    victim.fatal.message,
    new RegExp(
      `^tocommit\\(\\d+\\) is out of range \\[lastIndex\\(${last}\\)\\]. Was the raft log corrupted, truncated, or lost\\?$`,
    ),
  );
  const steps = victim.fatal.fields["next-steps"] as string[];
  assert.match(steps[0]!, new RegExp(`member remove ${victim.id.toString(16)}$`));
  assert.match(String(victim.fatal.fields["why"]), /entries that this member acknowledged/);
  await cluster.put(leader, "k", "the others go on");
});
