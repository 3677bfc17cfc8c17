// Goal: the simulated disk is exactly as unkind as a real one. Method: power losses with seeded dice after each kind of operation; what
// was flushed must be there, what was not must sometimes be there, sometimes not, and sometimes in part.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimDisk } from "./disk.ts";
import { dice } from "./log-model.ts";

const SEEDS = 60;

/** Runs the same history under many dice, pulls the plug, and returns what each disk holds. */
async function outcomes<T>(
  history: (disk: SimDisk) => Promise<void>,
  look: (disk: SimDisk) => T,
): Promise<Set<T>> {
  const seen = new Set<T>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const disk = new SimDisk({ random: dice(seed) });
    await disk.makeDirectory("/d");
    await history(disk);
    disk.crash();
    disk.restart();
    seen.add(look(disk));
  }
  return seen;
}

function textOf(disk: SimDisk, path: string): string {
  return Buffer.from(disk.bytesOf(path)).toString("latin1");
}

test("flushed bytes under a flushed name survive every power loss", async () => {
  const seen = await outcomes(
    async (disk) => {
      const file = await disk.open("/d/a", "create");
      await file.write([Buffer.from("safe")], 0);
      await file.sync();
      await disk.syncDirectory("/d");
    },
    (disk) => textOf(disk, "/d/a"),
  );
  assert.deepEqual([...seen], ["safe"]);
});

test("unflushed bytes are lost, kept or torn by sectors, and never change what was flushed before", async () => {
  const seen = await outcomes(
    async (disk) => {
      const file = await disk.open("/d/a", "create");
      await file.allocate(2048);
      await file.write([Buffer.from("old")], 0);
      await file.sync();
      await disk.syncDirectory("/d");
      await file.write([Buffer.alloc(1024, "n")], 512);
    },
    (disk) => {
      const text = textOf(disk, "/d/a");
      assert.equal(text.slice(0, 3), "old");
      assert.equal(text.length, 2048);
      return `${text[512]}${text[1024]}`.replaceAll("\0", "-");
    },
  );
  assert.deepEqual([...seen].sort(), ["--", "-n", "n-", "nn"]);
});

test("a name is durable only once its directory was flushed, and a rename is all or nothing", async () => {
  const seen = await outcomes(
    async (disk) => {
      for (const [path, text] of [
        ["/d/now", "old"],
        ["/d/next", "new"],
      ] as const) {
        const file = await disk.open(path, "create");
        await file.write([Buffer.from(text)], 0);
        await file.sync();
      }
      await disk.syncDirectory("/d");
      await disk.rename("/d/next", "/d/now");
    },
    (disk) => textOf(disk, "/d/now"),
  );
  assert.deepEqual([...seen].sort(), ["new", "old"]);
});

test("a file made and not yet named durably may be gone", async () => {
  const lists: string[] = [];
  await outcomes(
    async (disk) => {
      const file = await disk.open("/d/a", "create");
      await file.sync();
    },
    (disk) => {
      void disk.list("/d").then((names) => lists.push(names.join()));
    },
  );
  assert.deepEqual([...new Set(lists)].sort(), ["", "a"]);
});

test("kill -9 loses no written byte, but handles, locks and calls of the dead process", async () => {
  const disk = new SimDisk({ random: dice(1) });
  const process = disk.attach();
  await process.makeDirectory("/d");
  const file = await process.open("/d/a", "create");
  await file.write([Buffer.from("x")], 0);
  await process.lock("/d/LOCK");
  await assert.rejects(disk.attach().lock("/d/LOCK"), { code: "EAGAIN" });
  disk.killProcess();
  assert.equal(textOf(disk, "/d/a"), "x");
  await assert.rejects(file.write([Buffer.from("y")], 0), { code: "EIO" });
  await assert.rejects(process.remove("/d/a"), { code: "EIO" });
  await disk.attach().lock("/d/LOCK");
});

test("a full disk refuses to grow a file, and overwriting goes on", async () => {
  const disk = new SimDisk({ random: dice(1), capacityBytes: 1000 });
  await disk.makeDirectory("/d");
  const file = await disk.open("/d/a", "create");
  await file.allocate(900);
  assert.equal(await disk.freeBytes("/d"), 100);
  await assert.rejects(file.allocate(1001), { code: "ENOSPC" });
  await file.write([Buffer.alloc(900)], 0);
  await assert.rejects(file.write([Buffer.alloc(200)], 900), { code: "ENOSPC" });
});
