// kill -9 at random moments of a put load, again and again on the same data. What was acknowledged must be there with the revision it
// was given, and no revision may be given twice. Between kill and start the unsynced end of the log is torn, as a power cut would.
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { callOnce } from "../../bench/load/closed-loop.ts";
import { Connection, type Target } from "../../bench/load/connection.ts";
import { fieldOf, fieldsOf } from "../../bench/load/protobuf.ts";
import { compact, paths, put, range } from "../../bench/load/requests.ts";
import { type Case, check, type Settings, withServer } from "../lib/case.ts";
import { random } from "../lib/random.ts";
import type { Server } from "../lib/server.ts";

const connections = 4;
const clientsPerConnection = 8;
const hotKeys = 50;
const prefix = "crash/";

interface Acked {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** Everything that was ever acknowledged: per key the newest, and which revisions were given. */
class Ledger {
  readonly newest = new Map<string, Acked>();
  readonly #given = new Map<number, string>();
  acknowledged = 0;
  /** The one with the highest revision: nothing acknowledged stands behind it in the log. */
  last: Acked | undefined;

  get highest(): number {
    return this.last?.revision ?? 0;
  }

  record(acked: Acked): void {
    const before = this.#given.get(acked.revision);
    if (before !== undefined)
      throw new Error(`revision ${acked.revision} was given to ${before} and to ${acked.value}`);
    this.#given.set(acked.revision, acked.value);
    this.acknowledged++;
    if (acked.revision > this.highest) this.last = acked;
    const known = this.newest.get(acked.key);
    if (known === undefined || known.revision < acked.revision) this.newest.set(acked.key, acked);
  }
}

/** Puts until the connection breaks. Values carry a text that no other write has, so that they can be found in files. */
async function load(
  target: Target,
  round: number,
  ledger: Ledger,
  sent: Set<string>,
  broken: { error?: Error },
): Promise<() => void> {
  const open: Connection[] = [];
  let next = 0;
  for (let i = 0; i < connections; i++) {
    const connection = await Connection.open(target);
    open.push(connection);
    const write = (): void => {
      const n = next++;
      const key = n % 3 === 0 ? `${prefix}hot/${n % hotKeys}` : `${prefix}${round}/${n}`;
      const value = `<${round}.${n}>${"x".repeat((n * 37) % (n % 5 === 0 ? 3_000 : 400))}`;
      sent.add(value);
      let revision = 0;
      const call = {
        onMessage: (body: Buffer): void => {
          revision = fieldOf(fieldOf(body, 1)!.bytes, 3)!.number;
        },
        onEnd: (failure: string | undefined): void => {
          if (failure !== undefined) return;
          try {
            ledger.record({ key, value, revision });
          } catch (error) {
            broken.error ??= error as Error;
            return;
          }
          sent.delete(value);
          write();
        },
      };
      connection.unary(paths.put, put(Buffer.from(key), Buffer.from(value)), call, true);
    };
    for (let c = 0; c < clientsPerConnection; c++) write();
  }
  return () => {
    for (const connection of open) connection.close();
  };
}

interface Read {
  readonly value: string;
  readonly revision: number;
}

async function readAll(
  target: Target,
  from: string,
  to: string,
): Promise<{ revision: number; keys: Map<string, Read> }> {
  const reply = await callOnce(target, paths.range, range(Buffer.from(from), { end: Buffer.from(to) }));
  const keys = new Map<string, Read>();
  let revision = 0;
  for (const { field, bytes } of fieldsOf(reply)) {
    if (field === 1) revision = fieldOf(bytes, 3)?.number ?? 0;
    if (field !== 2) continue;
    const key = fieldOf(bytes, 1)!.bytes.toString();
    keys.set(key, { value: fieldOf(bytes, 5)?.bytes.toString() ?? "", revision: fieldOf(bytes, 3)!.number });
  }
  return { revision, keys };
}

function verify(
  ledger: Ledger,
  seen: { revision: number; keys: Map<string, Read> },
  inScope: (key: string) => boolean,
): void {
  check(
    seen.revision >= ledger.highest,
    `the store is at revision ${seen.revision}, but ${ledger.highest} was acknowledged`,
  );
  for (const [key, acked] of ledger.newest) {
    if (!inScope(key)) continue;
    const read = seen.keys.get(key);
    if (read === undefined) throw new Error(`${key} is lost, acknowledged at revision ${acked.revision}`);
    if (read.revision === acked.revision && read.value !== acked.value)
      throw new Error(`${key} holds another value at revision ${acked.revision}`);
    if (read.revision < acked.revision)
      throw new Error(`${key} is at revision ${read.revision}, acknowledged was ${acked.revision}`);
  }
  const owners = new Map<number, string>();
  for (const [key, { revision }] of seen.keys) {
    const other = owners.get(revision);
    if (other !== undefined) throw new Error(`revision ${revision} belongs to ${other} and to ${key}`);
    owners.set(revision, key);
  }
}

/**
 * What a power cut leaves of the part that was never flushed: all of it, nothing behind some sector, or a hole in the last record, since
 * a disk writes sectors whole but in any order. Holes further back would lie in an earlier flush, which was complete.
 */
type Tear = "none" | "cut" | "holes";

const sectorBytes = 512;

/**
 * Tears what a power cut may tear: bytes that no acknowledged write depends on. In the log file that holds the newest acknowledged value,
 * a write that was sent but never answered and lies behind every answered one marks where the unsynced part may begin.
 */
function tearTail(
  dataDir: string,
  ledger: Ledger,
  unanswered: ReadonlySet<string>,
  kind: Tear,
  next: () => number,
): string {
  const value = ledger.last?.value;
  if (kind === "none" || value === undefined) return "";
  const files = readdirSync(dataDir, { recursive: true, encoding: "utf8" })
    .map((name) => join(dataDir, name))
    .filter((path) => statSync(path).isFile())
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of files) {
    const content = readFileSync(path);
    const answered = content.lastIndexOf(value);
    if (answered < 0) continue;
    let first = Number.POSITIVE_INFINITY;
    let last = -1;
    let lastBegins = -1;
    for (const sent of unanswered) {
      const offset = content.indexOf(sent, answered + 1);
      if (offset < 0) continue;
      first = Math.min(first, offset);
      if (offset + sent.length <= last) continue;
      last = offset + sent.length;
      lastBegins = offset;
    }
    if (last < 0) return "";
    const firstSector = Math.ceil((kind === "cut" ? first : lastBegins) / sectorBytes);
    const sectors = Math.ceil(last / sectorBytes) - firstSector;
    if (sectors < 1) return "";
    const start = (firstSector + Math.floor(next() * sectors)) * sectorBytes;
    // A segment that was laid out in full keeps its length through a power cut: nothing behind the tear means zeros, not a shorter file.
    const laidOut = content.length > last + 65_536;
    if (kind === "cut" && !laidOut) {
      truncateSync(path, start);
    } else {
      for (
        let sector = start;
        sector < content.length && (kind === "cut" || sector < last);
        sector += sectorBytes
      ) {
        if (kind === "cut" || sector === start || next() < 0.3) content.fill(0, sector, sector + sectorBytes);
      }
      writeFileSync(path, content);
    }
    return `${kind} at ${start} of ${path}`;
  }
  return "";
}

async function crash(settings: Settings, server: Server): Promise<void> {
  const target: Target = { host: "127.0.0.1", port: server.clientPort };
  const next = random(settings.seed);
  const ledger = new Ledger();
  // A real etcd also keeps a database that may be ahead of a torn log; only the plain kill is a fair question to it.
  const kinds: Tear[] = settings.subject.label.startsWith("etcd") ? ["none"] : ["none", "cut", "holes"];
  let tears = 0;
  for (let round = 0; round < settings.rounds; round++) {
    const unanswered = new Set<string>();
    const broken: { error?: Error } = {};
    const close = await load(target, round, ledger, unanswered, broken);
    await delay(20 + Math.floor(next() * 250));
    await server.kill();
    close();
    if (broken.error !== undefined) throw broken.error;
    const torn = tearTail(
      server.options.dataDir,
      ledger,
      unanswered,
      kinds[Math.floor(next() * kinds.length)]!,
      next,
    );
    if (torn !== "") tears++;
    const where = `round ${round}, seed ${settings.seed}${torn === "" ? "" : `, ${torn}`}`;
    try {
      await server.restart();
      const own = await readAll(target, `${prefix}${round}/`, `${prefix}${round}0`);
      verify(ledger, own, (key) => key.startsWith(`${prefix}${round}/`));
      verify(ledger, await readAll(target, `${prefix}hot/`, `${prefix}hot0`), (key) =>
        key.startsWith(`${prefix}hot/`),
      );
      if (round % 10 === 9) await callOnce(target, paths.compact, compact(ledger.highest - 1, false));
      if (round % 25 === 24) verify(ledger, await readAll(target, prefix, "crash0"), () => true);
      if (round % 50 === 49)
        console.log(
          `        ${round + 1} kills, ${ledger.acknowledged} acknowledged writes, none lost so far`,
        );
    } catch (error) {
      throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  verify(ledger, await readAll(target, prefix, "crash0"), () => true);
  console.log(
    `        ${settings.rounds} kills, ${tears} torn tails, ${ledger.acknowledged} acknowledged writes, none lost, seed ${settings.seed}`,
  );
}

export const crashCases: readonly Case[] = [
  {
    name: "crash: kill -9 under load with torn tails loses no acknowledged write and uses no revision twice",
    limitMs: 3_600_000,
    run: (settings) => withServer(settings.subject, {}, (server) => crash(settings, server)),
  },
];
