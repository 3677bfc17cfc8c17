// Both servers do the same small things; then every metric that the real etcd shows must be there under the same name, type and labels.
// Metrics of Go's runtime are left out: there is no Go here. What is added must be called cairn_*.
import { type Case, check, equal, withServer } from "../lib/case.ts";
import { until } from "../lib/cluster-case.ts";
import { type CommandResult, runCommand } from "../lib/command.ts";
import { fillMixed } from "../lib/fill.ts";
import { realEtcd, type Server } from "../lib/server.ts";
import { peer } from "../peers.ts";

const compared = /^(etcd|grpc|os|process|promhttp)_/;
const allowed = /^(cairn|go|nodejs|process)_/;
/** Families that a real etcd shows only once they have a series: an alarm, a peer, a snapshot sent. */
const late =
  /^etcd_(debugging_server_alarms|network_(peer|snapshot|active_peers|disconnected)|server_(learner|downgrade))/;
/** One series per call: their label values are fixed from the start, so that rates can be computed from zero. */
const preset = /^grpc_server_(started|handled|msg_received|msg_sent)_total$/;

interface Family {
  readonly type: string;
  readonly labels: Set<string>;
  readonly series: Set<string>;
}

function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let family: Family | undefined;
  for (const line of text.split("\n")) {
    const declared = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (declared !== null) {
      family = { type: declared[2]!, labels: new Set(), series: new Set() };
      families.set(declared[1]!, family);
    } else if (line !== "" && !line.startsWith("#")) {
      const labels = /\{(.*)\}/.exec(line)?.[1] ?? "";
      family?.series.add(labels);
      for (const [, name] of labels.matchAll(/(\w+)="/g)) family?.labels.add(name!);
    }
  }
  return families;
}

async function familiesOf(server: Server): Promise<Map<string, Family>> {
  await fillMixed(server);
  return parse(await server.httpText("/metrics"));
}

function difference(wanted: ReadonlySet<string>, got: ReadonlySet<string>): string[] {
  return [...wanted].filter((one) => !got.has(one)).sort();
}

/** What clients do is counted in these; how long it takes, and what Status costs by polling, is not compared. Nor is the code of keepalives: chance decides it in etcd. */
const counted =
  /^(etcd_(debugging_mvcc_compact_revision|mvcc_(range|put|delete|txn)_total|server_range_duration_seconds_count|server_request_duration_seconds_count)|grpc_server_(started|handled|msg_received|msg_sent)_total\{.*(KV|Lease))/;

const chance = /^grpc_server_handled_total\{.*"LeaseKeepAlive"/;

type Counts = ReadonlyMap<string, number>;

async function countsOf(server: Server): Promise<Counts> {
  const lines = (await server.httpText("/metrics"))
    .split("\n")
    .filter((line) => counted.test(line) && !chance.test(line));
  return new Map(lines.map((line) => [line.replace(/ \S+$/, ""), Number(/\S+$/.exec(line)?.[0])]));
}

/** What has changed since `before`, a line each: looks at the health are counted as well, and nobody knows how many a start takes. */
async function countsSince(server: Server, before: Counts): Promise<string[]> {
  const changes = [...(await countsOf(server))].map(
    ([name, value]) => [name, value - (before.get(name) ?? 0)] as const,
  );
  return changes
    .filter(([, change]) => change !== 0)
    .map(([name, change]) => `${name} ${change}`)
    .sort();
}

/** A little of everything that is counted, with errors among it. */
async function countableCalls(server: Server): Promise<void> {
  const etcdctl = await peer("etcdctl");
  const run = (args: readonly string[], input?: string): Promise<CommandResult> =>
    runCommand([etcdctl, ...server.clientFlags, ...args], input === undefined ? {} : { input });
  for (let n = 0; n < 30; n++) await run(["put", `a${n}`, "x".repeat(1000)]);
  await run(["put", "a1", "y", "--prev-kv"]);
  await run(["get", "a", "--prefix", "--limit", "5"]);
  await run(["get", "a", "--rev", "99"]);
  await run(["get", "a", "--prefix", "--stream", "--keys-only"]);
  await run(["get", "a", "--prefix", "--stream", "--limit", "15"]);
  await run(["get", "a", "--prefix", "--stream", "--count-only"]);
  await run(["get", "a", "--stream", "--rev", "999"]);
  await run(["txn"], 'val("a2") = "no"\n\nput a2 z\n\nget a2\n\n');
  await run(["txn"], 'mod("a3") > "0"\n\nput a3 z\nget a3\ndel a4\n\n\n');
  await run(["del", "a5", "--prev-kv"]);
  await run(["compact", "12"]);
  await run(["compact", "12"]);
  const { stdout } = await run(["lease", "grant", "60"]);
  const lease = /lease (\w+) granted/.exec(stdout)?.[1] ?? "";
  check(lease !== "", `a lease: ${stdout}`);
  await run(["lease", "keep-alive", "--once", lease]);
  await run(["lease", "timetolive", lease]);
  await run(["lease", "revoke", lease]);
  await run(["lease", "revoke", lease]);
}

export const metricsCases: readonly Case[] = [
  {
    name: "metrics: calls, messages and ranges are counted as etcd counts them, those that fail too",
    run: async ({ subject }) => {
      await withServer(await realEtcd(), {}, async (real) => {
        const before = await countsOf(real);
        await countableCalls(real);
        await withServer(subject, {}, async (server) => {
          const own = await countsOf(server);
          const compacted = "etcd_debugging_mvcc_compact_revision";
          equal([own.get(compacted), before.get(compacted)], [-1, -1], "compact revision of a fresh member");
          await countableCalls(server);
          // The end of a stream is counted when the server learns of it.
          const same = async (): Promise<boolean> =>
            String(await countsSince(server, own)) === String(await countsSince(real, before));
          await until(same, "equal counts", 3_000).catch(() => undefined);
          const wanted = await countsSince(real, before);
          check(wanted.length > 30, `only ${wanted.length} counts have changed`);
          const got = await countsSince(server, own);
          const differences = [
            difference(new Set(wanted), new Set(got)),
            difference(new Set(got), new Set(wanted)),
          ];
          equal(differences, [[], []], "counts of etcd's alone, and of ours alone");
        });
      });
    },
  },
  {
    name: "metrics: every family of etcd's is there with its type and labels, and nothing else bears its name",
    run: async ({ subject }) => {
      await withServer(await realEtcd(), {}, async (real) => {
        const reference = await familiesOf(real);
        await withServer(subject, {}, async (server) => {
          const own = await familiesOf(server);
          const problems: string[] = [];
          for (const [name, { type, labels, series }] of reference) {
            if (!compared.test(name)) continue;
            const found = own.get(name);
            if (found === undefined) problems.push(`${name} is missing`);
            else if (found.type !== type) problems.push(`${name} is a ${found.type}, not a ${type}`);
            else if (difference(labels, found.labels).length > 0)
              problems.push(`${name} lacks labels ${difference(labels, found.labels).join(", ")}`);
            else if (preset.test(name))
              problems.push(...difference(series, found.series).map((one) => `${name}{${one}} is missing`));
          }
          for (const name of own.keys()) {
            if (!reference.has(name) && !allowed.test(name) && !late.test(name))
              problems.push(`${name} is not one of etcd's`);
          }
          check(problems.length === 0, `${problems.length} differences\n${problems.slice(0, 40).join("\n")}`);
        });
      });
    },
  },
  {
    name: "health: /health, /livez, /readyz and /version answer as etcd's",
    run: async ({ subject }) => {
      const pages = [
        "/health",
        "/health?serializable=true",
        "/livez",
        "/livez?verbose",
        "/readyz",
        "/readyz?verbose",
        "/readyz/data_corruption",
        "/livez/none",
      ];
      await withServer(await realEtcd(), {}, async (real) => {
        await withServer(subject, {}, async (server) => {
          const answer = async (one: Server, page: string): Promise<[number, string]> => {
            const text = await one.httpText(page);
            // etcd lists its checks in the order of a Go map, which is another at each start.
            const sorted = page.endsWith("?verbose") ? text.split("\n").sort().join("\n") : text;
            return [await one.httpStatus(page), sorted];
          };
          for (const page of pages) equal(await answer(server, page), await answer(real, page), page);
          const keys = async (one: Server): Promise<string[]> =>
            Object.keys(JSON.parse(await one.httpText("/version")) as object);
          equal(await keys(server), await keys(real), "/version");
        });
      });
    },
  },
];
