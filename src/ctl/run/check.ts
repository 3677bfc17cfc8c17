// check perf and check datascale: write a load and judge what the cluster makes of it.

import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { errorText } from "../../base/error-text.ts";
import { goQuote } from "../../cli/quote.ts";
import type { Client } from "../../client/client.ts";
import { RpcError } from "../../client/errors.ts";
import { GO_TRUST } from "../../node/go-trust.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail, SilentExit } from "../environment.ts";
import { integer } from "../format.ts";
import type { Run } from "../specs.ts";

type PerfLoad = { readonly limit: number; readonly clients: number; readonly seconds: number };
const PERF: Record<string, PerfLoad> = {
  s: { limit: 150, clients: 50, seconds: 60 },
  m: { limit: 1000, clients: 200, seconds: 60 },
  l: { limit: 8000, clients: 500, seconds: 60 },
  xl: { limit: 15000, clients: 1000, seconds: 60 },
};
type ScaleLoad = { readonly limit: number; readonly clients: number };
const SCALE: Record<string, ScaleLoad> = {
  s: { limit: 10_000, clients: 50 },
  m: { limit: 100_000, clients: 200 },
  l: { limit: 1_000_000, clients: 500 },
  xl: { limit: 3_000_000, clients: 1000 },
};
const ALIASES: Record<string, string> = { small: "s", medium: "m", large: "l", xLarge: "xl" };

function loadOf<T>(table: Record<string, T>, name: string): T {
  const load = table[ALIASES[name] ?? name];
  return load ?? fail(Exit.BadFeature, `unknown load option ${name}`);
}

/** Times and failures of a run. */
class Report {
  readonly seconds: number[] = [];
  readonly failures = new Map<string, number>();
  readonly #start = process.hrtime.bigint();
  #end = this.#start;

  async record(work: Promise<unknown>): Promise<void> {
    const start = process.hrtime.bigint();
    try {
      await work;
      this.seconds.push(Number(process.hrtime.bigint() - start) / 1e9);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.failures.set(error.message, (this.failures.get(error.message) ?? 0) + 1);
    }
    this.#end = process.hrtime.bigint();
  }

  get perSecond(): number {
    return this.seconds.length / Math.max(1e-9, Number(this.#end - this.#start) / 1e9);
  }

  get slowest(): number {
    return this.seconds.reduce((most, each) => Math.max(most, each), 0);
  }

  get deviation(): number {
    const count = Math.max(1, this.seconds.length);
    const mean = this.seconds.reduce((sum, each) => sum + each, 0) / count;
    return Math.sqrt(this.seconds.reduce((sum, each) => sum + (each - mean) ** 2, 0) / count);
  }
}

async function openClients(
  context: Context,
  count: number,
  prefix: string,
  quoted: boolean,
): Promise<Client[]> {
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) clients.push(await connect(context));
  const found = await orExit(clients[0]!.kv.get(prefix, { prefix: true, limit: 1 }));
  if (found.kvs.length > 0) {
    const command = quoted ? `'etcdctl del --prefix ${prefix}'` : `etcdctl del --prefix ${prefix}`;
    fail(Exit.InvalidInput, `prefix ${goQuote(prefix)} has keys. Delete with ${command} first`);
  }
  return clients;
}

function progressBar(total: number): { set(done: number): void; end(): void } {
  const draw = (done: number): void => {
    const width = 40;
    const filled = Math.round((width * done) / total);
    const percent = ((100 * done) / total).toFixed(2);
    process.stderr.write(
      `\r ${done} / ${total} [${"-".repeat(filled)}${"_".repeat(width - filled)}] ${percent}%`,
    );
  };
  draw(0);
  return { set: draw, end: () => process.stderr.write("\n") };
}

/** A key of `size` bytes that differs from all others in its first ten. */
function randomKey(prefix: string, size: number): Buffer {
  const key = Buffer.alloc(prefix.length + size);
  key.write(prefix, "latin1");
  randomBytes(9).copy(key, prefix.length);
  return key;
}

async function cleanUp(context: Context, client: Client, prefix: string): Promise<number | undefined> {
  try {
    return (await client.kv.delete(prefix, { prefix: true, timeoutMillis: 30_000 })).header!.revision;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    context.invocation.output.out(`FAIL: Cleanup failed during key deletion: ERROR(${error.message})\n`);
    return undefined;
  }
}

async function compactAndDefrag(
  context: Context,
  client: Client,
  revision: number | undefined,
): Promise<void> {
  const { flags } = context;
  const { output } = context.invocation;
  if (flags.bool("auto-compact") && revision !== undefined) {
    output.out(`Compacting with revision ${integer(revision)}\n`);
    await orExit(client.kv.compact(revision, { physical: true, timeoutMillis: 30_000 }));
    output.out(`Compacted with revision ${integer(revision)}\n`);
  }
  if (!flags.bool("auto-defrag")) return;
  for (const endpoint of client.endpoints) {
    output.out(`Defragmenting ${goQuote(endpoint)}\n`);
    const one = await connect(context, endpoint);
    await orExit(one.maintenance.defragment({ timeoutMillis: 30_000 }));
    one.close();
    output.out(`Defragmented ${goQuote(endpoint)}\n`);
  }
}

/** Puts at a steady rate for the load's time, each client one at a time. */
async function putSteadily(
  clients: readonly Client[],
  load: PerfLoad,
  prefix: string,
  stop: AbortSignal,
): Promise<Report> {
  const report = new Report();
  const value = Buffer.alloc(1024);
  const start = Date.now();
  const end = start + load.seconds * 1000;
  const bar = progressBar(load.seconds);
  let begun = 0;
  const worker = async (client: Client): Promise<void> => {
    for (;;) {
      const due = start + (begun++ * 1000) / load.limit;
      if (due >= end || stop.aborted) return;
      if (due > Date.now()) await wait(due - Date.now());
      await report.record(client.kv.put(randomKey(prefix, 256), value));
    }
  };
  const ticks = setInterval(
    () => bar.set(Math.min(load.seconds, Math.round((Date.now() - start) / 1000))),
    1000,
  );
  await Promise.all(clients.map(worker));
  clearInterval(ticks);
  bar.end();
  return report;
}

function judge(context: Context, load: PerfLoad, report: Report): boolean {
  const out = (line: string): void => context.invocation.output.out(`${line}\n`);
  let ok = report.failures.size === 0;
  if (!ok) out("FAIL: too many errors");
  for (const [text, count] of report.failures) out(`FAIL: ERROR(${text}) -> ${count}`);
  const rate = Math.floor(report.perSecond) + 1;
  const checks: [boolean, string, string][] = [
    [
      report.perSecond / load.limit > 0.9,
      `PASS: Throughput is ${rate} writes/s`,
      `FAIL: Throughput too low: ${rate} writes/s`,
    ],
    [
      report.slowest <= 0.5,
      `PASS: Slowest request took ${report.slowest.toFixed(6)}s`,
      `Slowest request took too long: ${report.slowest.toFixed(6)}s`,
    ],
    [
      report.deviation <= 0.1,
      `PASS: Stddev is ${report.deviation.toFixed(6)}s`,
      `Stddev too high: ${report.deviation.toFixed(6)}s`,
    ],
  ];
  for (const [good, pass, bad] of checks) {
    out(good ? pass : bad);
    ok &&= good;
  }
  return ok;
}

export const perf: Run = async (invocation) => {
  const { flags, output } = invocation;
  const load = loadOf(PERF, flags.string("load"));
  const prefix = flags.string("prefix");
  const context = await openContext(invocation);
  const clients = await openClients(context, load.clients, prefix, true);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const report = await putSteadily(clients, load, prefix, stop.signal);
  await compactAndDefrag(context, clients[0]!, await cleanUp(context, clients[0]!, prefix));
  for (const client of clients) client.close();
  const ok = judge(context, load, report);
  output.out(ok ? "PASS\n" : "FAIL\n");
  if (!ok) throw new SilentExit(Exit.Error);
};

/** process_resident_memory_bytes of the member, or 0 with a word on stdout. */
async function residentBytes(context: Context, endpoint: string): Promise<number> {
  const base = /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  const out = (line: string): void => context.invocation.output.out(`${line}\n`);
  const text = await fetchText(context, `${base}/metrics`).catch((error: unknown) => {
    out(`fetch error: ${errorText(error)}`);
    return undefined;
  });
  if (text === undefined) return 0;
  const found = /^process_resident_memory_bytes\s+(\S+)$/m.exec(text);
  if (found === null) out("could not find: process_resident_memory_bytes");
  return found === null ? 0 : Number(found[1]);
}

async function fetchText(context: Context, url: string): Promise<string> {
  const { get } = url.startsWith("https:") ? await import("node:https") : await import("node:http");
  const tls = context.options.tls;
  const options = {
    cert: tls?.cert,
    key: tls?.key,
    ca: tls?.ca,
    rejectUnauthorized: tls?.insecureSkipVerify !== true,
    ...GO_TRUST,
  };
  return await new Promise((resolve, reject) => {
    const request = get(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
  });
}

export const datascale: Run = async (invocation) => {
  const { flags, output } = invocation;
  const load = loadOf(SCALE, flags.string("load"));
  const prefix = flags.string("prefix");
  const context = await openContext(invocation);
  const clients = await openClients(context, load.clients, prefix, false);
  const endpoint = context.options.endpoints[0]!;
  const memory = async (when: string): Promise<number> => {
    const bytes = await residentBytes(context, endpoint);
    if (bytes !== 0) return bytes;
    output.out(`FAIL: Could not read process_resident_memory_bytes ${when} the put operations.\n`);
    throw new SilentExit(Exit.Error);
  };
  const before = await memory("before");
  output.out(
    `Start data scale check for work load [${load.limit} key-value pairs, 1024 bytes per key-value, ${load.clients} concurrent clients].\n`,
  );
  const report = new Report();
  const bar = progressBar(load.limit);
  const value = Buffer.alloc(512);
  let begun = 0;
  const worker = async (client: Client): Promise<void> => {
    while (begun < load.limit) {
      if (++begun % 1000 === 0) bar.set(begun);
      await report.record(client.kv.put(randomKey(prefix, 512), value));
    }
  };
  await Promise.all(clients.map(worker));
  bar.end();
  const after = await memory("after");
  const { header } = await orExit(clients[0]!.kv.delete(prefix, { prefix: true }));
  await compactAndDefrag(context, clients[0]!, header?.revision);
  for (const client of clients) client.close();
  if (report.failures.size > 0) {
    output.out("FAIL: too many errors\n");
    for (const [text, count] of report.failures) output.out(`FAIL: ERROR(${text}) -> ${count}\n`);
    throw new SilentExit(Exit.Error);
  }
  output.out(`PASS: Approximate system memory used : ${((after - before) / (1024 * 1024)).toFixed(2)} MB.\n`);
};
