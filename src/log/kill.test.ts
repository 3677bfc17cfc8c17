// Goal: kill -9 at any moment loses nothing that was flushed. Method: a real process appends and prints each index once its flush is
// done; it is killed at a random moment; everything it printed must be there, in every round, in the same directory.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { nodeDisk } from "../node/disk.ts";
import { silentLogger } from "../ports/logger.ts";
import { dice, LogModel } from "../sim/log-model.ts";
import { LOG_LIMITS } from "./disk-budget.ts";
import { openLog } from "./log.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 100_000);
const limits = {
  ...LOG_LIMITS,
  segmentBytesFirst: 128 << 10,
  segmentBytesMax: 256 << 10,
  reserveBytes: 0,
  catchUpEntries: 100,
  reclaimSlackBytes: 256 << 10,
};

const writer = `
const [base, directory, limits] = process.argv.slice(1);
const load = (name) => import(new URL(name, base).href);
const { openLog } = await load("./log.js");
const { LogModel, entryFor } = await load("../sim/log-model.js");
const { nodeDisk } = await load("../node/disk.js");
const { nodeClock } = await load("../node/clock.js");
const { nodeDigest } = await load("../node/digest.js");
const { silentLogger } = await load("../ports/logger.js");
const log = await openLog({
  directory, disk: nodeDisk(), clock: nodeClock(), digest: nodeDigest(), logger: silentLogger, expected: undefined,
  limits: JSON.parse(limits), onFatal: (error) => { throw error; }, onSpace() {},
});
const model = new LogModel();
await model.restore(log);
await log.start({ memberId: 1n, clusterId: 2n });
for (let round = 0; ; round++) {
  const first = log.raft.lastIndex() + 1;
  const entries = [];
  for (let i = 0; i < 1 + (round % 9); i++) entries.push(entryFor(first + i, (first + i) % 300, 100 + ((first + i) % 900)));
  log.writer.append(entries, undefined);
  if (round % 2 === 0) log.writer.flushSync();
  else await new Promise((resolve) => log.writer.flush(resolve));
  for (const entry of entries) {
    const place = log.writer.placeOf(entry.index);
    model.apply(entry.index, entry.data, place.file, place.offset);
  }
  process.stdout.write(log.raft.lastIndex() + "\\n");
  if (round % 60 === 30) void (round % 120 === 30 ? log.checkpoint(model) : log.reclaim(model, true));
  if (round % 10 === 0) await new Promise(setImmediate);
}
`;

/** Runs the writer until it has printed `lines` lines, kills it, and returns the last index it printed. */
async function writeAndKill(directory: string, lines: number): Promise<number> {
  const base = import.meta.url;
  const child = spawn(
    process.execPath,
    ["--input-type=module", "-e", writer, base, directory, JSON.stringify(limits)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let printed = "";
  let count = 0;
  child.stdout.setEncoding("latin1");
  child.stdout.on("data", (text: string) => {
    printed += text;
    count += text.split("\n").length - 1;
    if (count >= lines) child.kill("SIGKILL");
  });
  await once(child, "close");
  assert.equal(child.signalCode, "SIGKILL", "the writer works until it is killed");
  return Number(printed.slice(0, printed.lastIndexOf("\n")).split("\n").at(-1));
}

test("kill -9 at random moments loses nothing that was flushed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cairn-kill-"));
  const random = dice(seed);
  try {
    for (let round = 0; round < 4; round++) {
      const acknowledged = await writeAndKill(directory, 50 + random.below(400));
      const log = await openLog({
        directory,
        disk: nodeDisk(),
        clock: nodeClock(),
        digest: nodeDigest(),
        logger: silentLogger,
        expected: undefined,
        limits,
        onFatal: (error) => assert.fail(error),
        onSpace: () => {},
      });
      assert.ok(log.raft.lastIndex() >= acknowledged, `FUZZ_SEED=${seed} round ${round}`);
      const model = new LogModel();
      await model.restore(log);
      assert.equal(model.wrongRow(log), undefined, `FUZZ_SEED=${seed} round ${round}`);
      await log.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
