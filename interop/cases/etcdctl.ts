// The real etcdctl against the server under test, plain and under TLS: what a person types from the runbook must answer as etcd does.
import { type Case, check, equal, match, withServer } from "../lib/case.ts";
import { makeCertificates } from "../lib/certificates.ts";
import { mustRun, runCommand } from "../lib/command.ts";
import { realEtcd, type Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

type Etcdctl = (...args: string[]) => Promise<string>;

async function etcdctlFor(server: Server): Promise<Etcdctl> {
  const program = await peer("etcdctl");
  return (...args) => mustRun([program, ...server.clientFlags, ...args]);
}

/** A case of etcdctl, run without and with TLS. */
function both(name: string, body: (etcdctl: Etcdctl, server: Server) => Promise<void>): Case[] {
  return [false, true].map((tls) => ({
    name: `etcdctl${tls ? " under TLS" : ""}: ${name}`,
    run: ({ subject }) =>
      withServer(subject, { tls }, async (server) => body(await etcdctlFor(server), server)),
  }));
}

async function keyValues(etcdctl: Etcdctl): Promise<void> {
  equal(await etcdctl("put", "a", "1"), "OK\n", "put");
  equal(await etcdctl("put", "a", "2", "--prev-kv"), "OK\na\n1\n", "put --prev-kv");
  await etcdctl("put", "ab", "3");
  await etcdctl("put", "b", "4");
  equal(await etcdctl("get", "a"), "a\n2\n", "get");
  equal(await etcdctl("get", "a", "--prefix"), "a\n2\nab\n3\n", "get --prefix");
  equal(
    await etcdctl("get", "a", "--from-key", "--keys-only"),
    "a\n\nab\n\nb\n\n",
    "get --from-key --keys-only",
  );
  equal(
    await etcdctl("get", "", "--prefix", "--order", "DESCEND", "--sort-by", "MODIFY", "--print-value-only"),
    "4\n3\n2\n",
    "get sorted",
  );
  equal(await etcdctl("get", "a", "--rev", "2"), "a\n1\n", "get --rev");
  equal(
    await etcdctl("get", "", "--prefix", "--limit", "1", "--consistency", "s"),
    "a\n2\n",
    "get --limit, serializable",
  );
  match(
    await etcdctl("get", "", "--prefix", "--count-only", "-w", "fields"),
    /"Count" : 3/,
    "get --count-only",
  );
  const json = JSON.parse(await etcdctl("get", "ab", "-w", "json")) as {
    kvs: { value: string; version: number }[];
    header: { revision: number };
  };
  equal([json.kvs[0]?.value, json.kvs[0]?.version, json.header.revision], ["Mw==", 1, 5], "get -w json");
  equal(await etcdctl("del", "a", "--prefix", "--prev-kv"), "2\na\n2\nab\n3\n", "del --prefix --prev-kv");
  equal(await etcdctl("del", "nothing"), "0\n", "del of nothing");
  const stream = await etcdctl("get", "", "--prefix", "--stream");
  equal(stream, "b\n4\n", "get --stream");
}

async function transactions(etcdctl: Etcdctl, server: Server): Promise<void> {
  await etcdctl("put", "k", "v");
  const program = await peer("etcdctl");
  const txn = (input: string) => mustRun([program, ...server.clientFlags, "txn"], { input });
  equal(
    await txn('value("k") = "v"\nver("k") = "1"\n\nput k w\nget k\n\nget k\n\n'),
    "SUCCESS\n\nOK\n\nk\nw\n",
    "txn that succeeds",
  );
  equal(
    await txn('mod("k") < "2"\n\nput k x\n\nget k\ndel k\n\n'),
    "FAILURE\n\nk\nw\n\n1\n",
    "txn that fails",
  );
}

async function leases(etcdctl: Etcdctl): Promise<void> {
  const granted = match(
    await etcdctl("lease", "grant", "600"),
    /^lease ([0-9a-f]{16}) granted with TTL\(600s\)\n$/,
    "lease grant",
  );
  const id = granted[1]!;
  await etcdctl("put", "leased", "x", "--lease", id);
  match(
    await etcdctl("lease", "timetolive", id, "--keys"),
    /TTL\(600s\), remaining\((600|59\d)s\), attached keys\(\[leased\]\)/,
    "timetolive",
  );
  match(await etcdctl("lease", "list"), new RegExp(`found 1 leases\n${id}`), "lease list");
  match(
    await etcdctl("lease", "keep-alive", "--once", id),
    new RegExp(`lease ${id} keepalived with TTL\\(600\\)`),
    "keep-alive",
  );
  equal(await etcdctl("lease", "revoke", id), `lease ${id} revoked\n`, "lease revoke");
  equal(await etcdctl("get", "leased"), "", "a revoked lease's key is gone");
  match(await etcdctl("lease", "timetolive", id), /already expired/, "timetolive of a revoked lease");
}

async function watches(etcdctl: Etcdctl, server: Server): Promise<void> {
  await etcdctl("put", "w1", "a");
  await etcdctl("put", "w2", "b");
  await etcdctl("del", "w1");
  const program = await peer("etcdctl");
  const seen: string[] = [];
  const watching = runCommand(
    [program, ...server.clientFlags, "watch", "w", "--prefix", "--rev", "2", "--prev-kv"],
    {
      timeoutMs: 4_000,
      onLine: (line) => seen.push(line),
    },
  );
  await etcdctl("put", "w3", "c");
  await watching;
  equal(seen.join(" "), "PUT w1 a PUT w2 b DELETE w1 a w1  PUT w3 c", "watch from revision 2");
}

async function compaction(etcdctl: Etcdctl, server: Server): Promise<void> {
  for (let i = 0; i < 5; i++) await etcdctl("put", "c", `${i}`);
  equal(await etcdctl("compaction", "4", "--physical"), "compacted revision 4\n", "compaction");
  const program = await peer("etcdctl");
  const old = await runCommand([program, ...server.clientFlags, "get", "c", "--rev", "3"]);
  check(old.code !== 0, "a compacted revision must be refused");
  match(old.stderr, /etcdserver: mvcc: required revision has been compacted/, "get of a compacted revision");
  const again = await runCommand([program, ...server.clientFlags, "compaction", "4"]);
  match(again.stderr, /etcdserver: mvcc: required revision has been compacted/, "compaction twice");
  equal(await etcdctl("get", "c", "--rev", "4"), "c\n2\n", "the compacted revision itself is readable");
}

async function endpoints(etcdctl: Etcdctl, server: Server): Promise<void> {
  // On an empty store first: clients divide by its size.
  for (const form of ["simple", "table", "json", "fields"]) {
    await etcdctl("endpoint", "status", "-w", form);
    await etcdctl("endpoint", "hashkv", "-w", form);
    await etcdctl("member", "list", "-w", form);
  }
  await etcdctl("put", "a", "1");
  match(
    await etcdctl("endpoint", "health"),
    /is healthy: successfully committed proposal: took = /,
    "endpoint health",
  );
  const [status] = JSON.parse(await etcdctl("endpoint", "status", "-w", "json")) as [
    { Status: { version: string; header: { member_id: number } } },
  ];
  match(status.Status.version, /^3\.\d+\.\d+$/, "the version is one of etcd's");
  match(await etcdctl("endpoint", "status", "-w", "table"), /ENDPOINT/, "endpoint status -w table");
  const [hash] = JSON.parse(await etcdctl("endpoint", "hashkv", "-w", "json")) as [
    { HashKV: { hash: number; hash_revision: number } },
  ];
  check(hash.HashKV.hash > 0, "hashkv has a hash");
  equal(hash.HashKV.hash_revision, 2, "hashkv's revision");
  match(
    await etcdctl("member", "list"),
    new RegExp(`, started, default, http://127.0.0.1:${server.peerPort}, ${server.clientUrl}, false`),
    "member list",
  );
  match(await etcdctl("endpoint", "health", "--cluster"), /is healthy/, "endpoint health --cluster");
  match(await etcdctl("defrag"), /Finished defragmenting etcd member\[.*\]\. took /, "defrag");
  equal(await etcdctl("alarm", "list"), "", "alarm list");
  equal(await etcdctl("alarm", "disarm"), "", "alarm disarm");
}

async function locks(etcdctl: Etcdctl): Promise<void> {
  equal(await etcdctl("lock", "l", "echo", "held"), "held\n", "lock runs its command");
}

/** A runbook searches etcd's log for these lines; a real etcd is held to them first. */
async function strangers(command: ServerCommand): Promise<void> {
  await withServer(command, { tls: true }, async (server, dir) => {
    const other = await makeCertificates(`${dir}/other`);
    const { serverCert, serverKey } = server.options.tls!;
    const flags = ["--endpoints", server.clientUrl, "--command-timeout", "2s", "get", "a"];
    const run = async (cacert: string, cert: string, key: string): Promise<void> => {
      const tls = ["--cacert", cacert, "--cert", cert, "--key", key];
      const { code } = await runCommand([await peer("etcdctl"), ...tls, ...flags]);
      check(code !== 0, "a stranger must not be answered");
    };
    await run(other.ca, serverCert, serverKey);
    await run(server.options.tls!.ca, other.clientCert, other.clientKey);
    await runCommand([await peer("etcdctl"), ...flags.map((flag) => flag.replace("https:", "http:"))]);
    const rejected = server
      .log()
      .split("\n")
      .filter((line) => line.includes('"msg":"rejected connection on client endpoint"'));
    for (const text of [
      "remote error: tls: bad certificate",
      "tls: failed to verify certificate: ",
      "tls: first record does not look like a TLS handshake",
    ]) {
      const line = rejected.find((each) => each.includes(text));
      check(line !== undefined, `${command.label} logs ${text}; it logged ${rejected.join("\n")}`);
      match(line!, /"remote-addr":"127\.0\.0\.1:\d+"/, "who was rejected");
    }
  });
}

/** The refused request is bigger than what the alarm wants free. */
async function fullQuota(command: ServerCommand): Promise<void> {
  await withServer(command, { extra: ["--quota-backend-bytes", "53248"] }, async (server) => {
    const etcdctl = await etcdctlFor(server);
    const program = await peer("etcdctl");
    const put = (): Promise<{ code: number; stderr: string }> =>
      runCommand([program, ...server.clientFlags, "put", "foo", "x".repeat(4096)]);
    let last = await put();
    for (let i = 0; i < 20 && last.code === 0; i++) last = await put();
    match(last.stderr, /etcdserver: mvcc: database space exceeded/, "the quota is reached");
    for (let look = 0; look < 3; look++) {
      match(await etcdctl("alarm", "list"), /alarm:NOSPACE/, `${command.label}: the alarm stays`);
      const health = await fetch(`${server.clientUrl}/health`);
      equal(health.status, 503, `${command.label}: /health`);
      match(await health.text(), /"reason":"ALARM NOSPACE"/, `${command.label}: /health`);
    }
  });
}

export const etcdctlCases: readonly Case[] = [
  {
    name: "etcdctl: strangers are refused under TLS, and the log says why in etcd's words",
    run: async ({ subject }) => {
      for (const command of [await realEtcd(), subject]) await strangers(command);
    },
  },
  {
    name: "etcdctl: a full quota raises an alarm that stays as long as nothing is freed",
    run: async ({ subject }) => {
      for (const command of [await realEtcd(), subject]) await fullQuota(command);
    },
  },
  ...both("put, get and del answer as etcd's", keyValues),
  ...both("txn takes the branch that its compares choose", transactions),
  ...both("leases are granted, kept, listed and revoked", leases),
  ...both("watch replays history and follows", watches),
  ...both("compaction hides what is older", compaction),
  ...both("endpoint, member, alarm and defrag commands answer", endpoints),
  ...both("lock runs a command while it is held", locks),
];
