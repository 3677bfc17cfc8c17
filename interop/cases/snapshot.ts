// Snapshots cross the border both ways: taken from the server under test by the real etcdctl, judged and restored by the real etcdutl,
// served by a real etcd with an equal hash. The run directory holds everything; nothing outside it is touched.
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, equal, match, withServer } from "../lib/case.ts";
import { mustRun } from "../lib/command.ts";
import { fillMixed, hashKv } from "../lib/fill.ts";
import { realEtcd, Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

/** A snapshot of `from`, restored by the real etcdutl and served by `to`, has the same hash and goes on counting. */
async function carryOver(from: ServerCommand, to: ServerCommand): Promise<void> {
  const etcdctl = await peer("etcdctl");
  const etcdutl = await peer("etcdutl");
  await withServer(from, {}, async (server, dir) => {
    await fillMixed(server);
    const before = await hashKv(server);
    const file = join(dir, "snapshot.db");
    match(
      await mustRun([etcdctl, ...server.clientFlags, "snapshot", "save", file]),
      /Snapshot saved at/,
      "snapshot save",
    );
    const status = JSON.parse(await mustRun([etcdutl, "snapshot", "status", file, "-w", "json"])) as {
      revision: number;
      totalKey: number;
      version: string;
    };
    equal(status.revision, before.hash_revision, "snapshot status tells the revision");
    check(status.totalKey > 0, "snapshot status counts keys");
    // etcdutl hashkv opens its file for writing, which breaks the sum at its end: it gets a copy.
    copyFileSync(file, `${file}.copy`);
    match(
      await mustRun([etcdutl, "hashkv", `${file}.copy`]),
      new RegExp(`^${before.hash},`),
      "etcdutl hashkv",
    );
    const dataDir = join(dir, "restored");
    await mustRun([etcdutl, "snapshot", "restore", file, "--data-dir", dataDir]);
    const restored = await Server.start(to, { dataDir });
    try {
      equal(await hashKv(restored), before, "HashKV of the restored server");
      await mustRun([etcdctl, ...restored.clientFlags, "put", "after", "restore"]);
    } finally {
      await restored.stop();
    }
  });
}

export const snapshotCases: readonly Case[] = [
  {
    name: "snapshot: a real etcd serves the restored snapshot of the server under test with equal HashKV",
    run: async ({ subject }) => carryOver(subject, await realEtcd()),
  },
  {
    name: "snapshot: the server under test serves a data directory that the real etcdutl restored",
    run: async ({ subject }) => carryOver(await realEtcd(), subject),
  },
  {
    name: "snapshot: the server under test serves a snapshot of etcd 3.6 that the real etcdutl restored",
    run: async ({ subject }) => carryOver(await realEtcd("etcd-3.6"), subject),
  },
];
