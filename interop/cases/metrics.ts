// Both servers do the same small things; then every metric that the real etcd shows must be there under the same name, type and labels.
// Metrics of Go's runtime are left out: there is no Go here. What is added must be called cairn_*.
import { type Case, check, equal, withServer } from "../lib/case.ts";
import { fillMixed } from "../lib/fill.ts";
import { realEtcd, type Server } from "../lib/server.ts";

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

export const metricsCases: readonly Case[] = [
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
