// Members in trouble, as real processes: cut down to one, wiped, put back to an old copy, removed. Each says why it does not go on and which
// commands help, and those commands do help.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FRAME_BYTES, placeSeed } from "../../src/log/format.ts";
import type { FileNumber } from "../../src/mvcc/contract.ts";
import { nodeDigest } from "../../src/node/digest.ts";
import { type Case, check, type Settings } from "../lib/case.ts";
import type { Cluster } from "../lib/cluster.ts";
import { times, until, withCluster } from "../lib/cluster-case.ts";
import { mustRun } from "../lib/command.ts";
import { projectRoot } from "../lib/paths.ts";
import { realEtcd } from "../lib/server.ts";

async function fill(cluster: Cluster, keys: number): Promise<void> {
  for (let n = 0; n < keys; n++) await cluster.etcdctl(["put", `key${n}`, `value ${n}`]);
}

/** Two of three are gone for ever; the third goes on alone, then grows again. */
async function forced(cluster: Cluster, { subject }: Settings): Promise<void> {
  await fill(cluster, 20);
  const survivor = cluster.member("m2");
  for (const name of ["m1", "m3"]) await cluster.member(name).server.kill();
  await survivor.server.stop();
  cluster.members.splice(0, 3, survivor);
  // A directory of etcd's becomes ours in the same start.
  survivor.server.command = subject;
  survivor.server.more = ["--force-new-cluster"];
  await survivor.server.restart();
  check(survivor.server.log().includes("forcing restart member"), "it says that it was forced");
  check((await cluster.list()).length === 1, "it is alone");
  check(
    (await cluster.etcdctl(["get", "key19", "--print-value-only"])).trim() === "value 19",
    "the data is there",
  );
  await cluster.etcdctl(["put", "alone", "1"]);
  await survivor.server.stop();
  survivor.server.more = [];
  await survivor.server.restart();
  check((await cluster.etcdctl(["get", "alone", "--print-value-only"])).trim() === "1", "and stays");
  await cluster.add(subject);
  await cluster.add(subject);
  await cluster.equalHashes();
}

async function forcing(settings: Settings): Promise<void> {
  const options = { logLevel: "info" };
  await withCluster(times(3, settings.subject), (cluster) => forced(cluster, settings), options);
  await withCluster(times(3, await realEtcd()), (cluster) => forced(cluster, settings), options);
}

/** Wiped under both states, put back to an old copy, and removed. */
function explaining({ subject }: Settings): Promise<void> {
  return withCluster(times(3, subject), async (cluster) => {
    await fill(cluster, 5);
    const { server } = cluster.member("m3");
    await server.kill();
    const copy = `${server.options.dataDir}.old`;
    cpSync(server.options.dataDir, copy, { recursive: true });
    await server.restart();
    await fill(cluster, 5);
    const id = await cluster.idOf("m3");
    for (const state of ["new", "existing"] as const) {
      await server.kill();
      rmSync(server.options.dataDir, { recursive: true, force: true });
      server.cluster = { state, initial: cluster.initialCluster() };
      server.spawn();
      const code = await server.ended();
      check(code === 1, `${state}: it is refused with code 1, not ${code}`);
      const last = server.log().trimEnd().split("\n").at(-1)!;
      check(last.includes(`member ${id} has already been bootstrapped`), `${state}: etcd's text: ${last}`);
      check(
        last.includes(`member remove ${id}`) && last.includes("member add m3"),
        `${state}: the commands: ${last}`,
      );
    }

    cpSync(copy, server.options.dataDir, { recursive: true });
    server.spawn();
    const panicked = await server.ended();
    const last = server.log().trimEnd().split("\n").at(-1)!;
    check(panicked === 2, `old copy: it ends with code 2, not ${panicked}`);
    check(
      /tocommit\(\d+\) is out of range/.test(last) && last.includes(`member remove ${id}`),
      `old copy: ${last}`,
    );

    await cluster.reconfigure(["member", "remove", id], "m3");
    server.spawn();
    const rested = await server.ended();
    check(server.log().includes("data-dir used by this member must be removed"), "removed: etcd's text");
    check(rested === 0, `removed: it ends with code 0, not ${rested}`);

    // What the lines say helps.
    rmSync(server.options.dataDir, { recursive: true, force: true });
    await cluster.reconfigure(["member", "add", "m3", "--peer-urls", server.peerUrl], "m3");
    server.cluster = { state: "existing", initial: cluster.initialCluster() };
    await server.restart();
    await cluster.equalHashes();
  });
}

/** A bit flips in the stopped member's newest segment; one command gives it the data of the others. */
function healing({ subject }: Settings): Promise<void> {
  return withCluster(times(3, subject), async (cluster) => {
    await fill(cluster, 30);
    const { server } = cluster.member("m2");
    const id = await cluster.idOf("m2");
    await server.stop();
    flipInValue(join(server.options.dataDir, "member", "cairn"), "value 7");
    // At start, or when the byte is read: it is found, and nobody gets it.
    server.spawn();
    await server.waitReady().then(
      () => cluster.etcdctlAt(cluster.member("m2"), ["get", "", "--from-key", "--consistency=s"]),
      () => undefined,
    );
    await server.stop();
    const alarms = await cluster.etcdctl(["alarm", "list"], "m2");
    const decimal = BigInt(`0x${id}`).toString();
    check(
      alarms.trim() === "" || alarms.trim() === `memberID:${decimal}  alarm:CORRUPT`,
      `the alarm names exactly that member: ${alarms}`,
    );
    const endpoints = ["m1", "m3"].map((name) => cluster.member(name).server.endpoint).join(",");
    const command = [join(projectRoot, "bin", "cairn"), "heal", "--data-dir", server.options.dataDir];
    console.log((await mustRun([...command, "--endpoints", endpoints])).trim().replace(/^/gm, "        "));
    await server.restart();
    await until(
      async () => (await cluster.list()).every(({ learner }) => !learner),
      "the healed member's promotion",
      60_000,
    );
    await until(
      async () => !existsSync(join(server.options.dataDir, "cairn-heal.json")),
      "the end of healing",
      60_000,
    );
    check((await cluster.etcdctl(["alarm", "list"])).trim() === "", "the alarm is gone");
    check((await cluster.idOf("m2")) !== id, "it has a new id");
    await fill(cluster, 5);
    await cluster.equalHashes();
    await server.stop();
    await server.restart();
    await cluster.equalHashes();
  });
}

/** One value differs under checksums that hold: only a comparison with the others can tell. */
function comparing({ subject }: Settings): Promise<void> {
  return withCluster(
    times(3, subject),
    async (cluster) => {
      await fill(cluster, 30);
      const { server } = cluster.member("m2");
      const id = await cluster.idOf("m2");
      await server.kill();
      forgeValue(join(server.options.dataDir, "member", "cairn"), "value 7");
      server.spawn();
      const code = await server.ended();
      const last = server.log().trimEnd().split("\n").at(-1)!;
      check(code === 1 && last.includes("found data inconsistency with peers"), `start: ${last}`);
      check(last.includes("cairn heal"), `the next step: ${last}`);
      // Who starts it nevertheless finds it named.
      server.more = ["--feature-gates", "InitialCorruptCheck=false"];
      await server.restart();
      const named = `memberID:${BigInt(`0x${id}`)}  alarm:CORRUPT`;
      await until(
        async () => (await cluster.etcdctl(["alarm", "list"])).trim() === named,
        "an alarm that names exactly that member",
      );
      await server.stop();
      server.more = [];
      const endpoints = ["m1", "m3"].map((name) => cluster.member(name).server.endpoint).join(",");
      const command = [join(projectRoot, "bin", "cairn"), "heal", "--data-dir", server.options.dataDir];
      await mustRun([...command, "--endpoints", endpoints]);
      await server.restart();
      await until(
        async () => (await cluster.etcdctl(["alarm", "list"])).trim() === "",
        "the alarm's end",
        60_000,
      );
      await cluster.etcdctl(["put", "writes", "again"]);
      await cluster.equalHashes();
    },
    { extra: ["--corrupt-check-time", "2s"] },
  );
}

/** Flips a bit of a value and makes its record's checksum right again. */
function forgeValue(directory: string, text: string): void {
  for (const name of readdirSync(directory).filter((each) => each.endsWith(".segment"))) {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    const { crc32 } = nodeDigest();
    const file = Number.parseInt(name, 10) as FileNumber;
    for (let start = at; start > Math.max(0, at - 1000); start--) {
      const end = start + FRAME_BYTES + bytes.readUInt32LE(start + 8);
      const seed = placeSeed(file, start);
      if (end > bytes.length || crc32(bytes.subarray(start + 4, end), seed) !== bytes.readUInt32LE(start))
        continue;
      bytes[at]! ^= 1;
      bytes.writeUInt32LE(crc32(bytes.subarray(start + 4, end), seed), start);
      writeFileSync(path, bytes);
      return;
    }
  }
  throw new Error(`no record holds ${text}`);
}

function flipInValue(directory: string, text: string): void {
  for (const name of readdirSync(directory).filter((each) => each.endsWith(".segment"))) {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
    return;
  }
  throw new Error(`no segment holds ${text}`);
}

export const careCases: readonly Case[] = [
  {
    name: "care: --force-new-cluster makes a cluster of one member's data, ours or etcd's, and it grows again",
    limitMs: 300_000,
    run: forcing,
  },
  {
    name: "care: wiped, stale and removed members say why they end and what helps, and it does",
    limitMs: 300_000,
    run: explaining,
  },
  {
    name: "care: a corrupt member is healed from its peers by one command",
    limitMs: 300_000,
    run: healing,
  },
  {
    name: "care: a member with other data is kept from serving, named by the alarm, and healed",
    limitMs: 300_000,
    run: comparing,
  },
];
