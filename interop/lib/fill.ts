// Fills a server with a small but varied history through the real etcdctl, and reads its hash. Snapshot and import cases use it.
import { peer } from "../peers.ts";
import { mustRun } from "./command.ts";
import type { Server } from "./server.ts";

/** Puts, overwrites, deletes, transactions, leases and a compaction: every kind of record that a data directory can hold. */
export async function fillMixed(server: Server): Promise<void> {
  const etcdctl = [await peer("etcdctl"), ...server.clientFlags];
  const put = (key: string, value: string, ...more: string[]) =>
    mustRun([...etcdctl, "put", ...more, "--", key, value]);
  await mustRun([
    await peer("benchmark"),
    "put",
    ...server.clientFlags,
    "--total=3000",
    "--clients=20",
    "--conns=2",
    "--key-space-size=700",
    "--val-size=100",
  ]);
  await put("plain", "value");
  await put("empty", "");
  await put("binary \u0001 \u00ff é", "\u0002");
  for (let i = 0; i < 5; i++) await put("often", `${i}`);
  await mustRun([...etcdctl, "compaction", "2000", "--physical"]);
  const granted = await mustRun([...etcdctl, "lease", "grant", "100000"]);
  await put("leased", "x", "--lease", granted.split(" ")[1]!);
  await mustRun([...etcdctl, "del", "plain"]);
  await mustRun([...etcdctl, "txn"], { input: 'ver("often") > "0"\n\nput t1 a\nput t2 b\ndel often\n\n\n' });
}

export interface KvHash {
  readonly hash: number;
  readonly compact_revision: number;
  readonly hash_revision: number;
}

export async function hashKv(server: Server, revision = 0): Promise<KvHash> {
  const out = await mustRun([
    await peer("etcdctl"),
    ...server.clientFlags,
    "endpoint",
    "hashkv",
    "--rev",
    `${revision}`,
    "-w",
    "json",
  ]);
  const [{ HashKV }] = JSON.parse(out) as [{ HashKV: KvHash }];
  return {
    hash: HashKV.hash,
    compact_revision: HashKV.compact_revision,
    hash_revision: HashKV.hash_revision,
  };
}
