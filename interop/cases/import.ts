// The server under test starts on a data directory that a real etcd 3.6 or 3.7 left behind, serves the same contents under the same
// ids, and leaves the original as it was.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, equal } from "../lib/case.ts";
import { mustRun } from "../lib/command.ts";
import { fillMixed, hashKv } from "../lib/fill.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";
import { realEtcd, Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

interface Seen {
  readonly hash: unknown;
  readonly members: string;
  readonly keys: string;
  readonly leases: string;
}

async function look(server: Server): Promise<Seen> {
  const etcdctl = [await peer("etcdctl"), ...server.clientFlags];
  const keys = JSON.parse(await mustRun([...etcdctl, "get", "", "--prefix", "-w", "json"])) as {
    kvs: unknown;
  };
  const members = JSON.parse(await mustRun([...etcdctl, "member", "list", "-w", "json"])) as {
    members: { ID: number }[];
  };
  return {
    hash: await hashKv(server),
    members: JSON.stringify(members.members.map(({ ID }) => ID)),
    keys: JSON.stringify(keys.kvs),
    leases: await mustRun([...etcdctl, "lease", "list"]),
  };
}

/** The digest of every file of etcd's own that lies below, by name. */
function digests(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    if (!/(\.wal|\.snap|\/db)$/.test(name)) continue;
    found[name] = createHash("sha256")
      .update(readFileSync(join(dir, name)))
      .digest("hex");
  }
  return found;
}

/** One advertised peer URL for both, since a member's identity hangs on it. */
const advertise = { peer: "http://127.0.0.1:24597", client: "http://127.0.0.1:24596" };

async function takeOver(from: ServerCommand, subject: ServerCommand, stop: "stop" | "kill"): Promise<void> {
  const dir = makeRunDir("import");
  const dataDir = join(dir, "data");
  try {
    const original = await Server.start(from, { dataDir, advertise });
    await fillMixed(original);
    const before = await look(original);
    await original[stop]();
    const files = digests(dataDir);
    check(existsSync(join(dataDir, "member", "snap", "db")), "etcd left its database");
    const heir = await Server.start(subject, { dataDir, advertise });
    try {
      equal(await look(heir), before, "what the heir serves");
      await mustRun([await peer("etcdctl"), ...heir.clientFlags, "put", "after", "import"]);
      const written = await hashKv(heir);
      await heir.stop();
      await heir.restart();
      equal(await hashKv(heir), written, "the hash after a restart");
    } finally {
      await heir.stop();
    }
    if (subject.label === "cairn")
      equal(digests(dataDir), files, "etcd's own files, which must stay untouched");
  } finally {
    removeRunDir(dir);
  }
}

export const importCases: readonly Case[] = [
  {
    name: "import: a data directory of etcd 3.7 is taken over",
    run: async ({ subject }) => takeOver(await realEtcd(), subject, "stop"),
  },
  {
    name: "import: a data directory of etcd 3.6 is taken over",
    run: async ({ subject }) => takeOver(await realEtcd("etcd-3.6"), subject, "stop"),
  },
  {
    name: "import: a data directory of an etcd that was killed is taken over",
    run: async ({ subject }) => takeOver(await realEtcd(), subject, "kill"),
  },
];
