// One flipped bit in any file of a stopped member's data directory: the next start either refuses, naming the file, or serves exactly
// what was there. A silently wrong read is the one thing that must never happen.
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callOnce } from "../../bench/load/closed-loop.ts";
import type { Target } from "../../bench/load/connection.ts";
import { fieldsOf } from "../../bench/load/protobuf.ts";
import { paths, range } from "../../bench/load/requests.ts";
import { type Case, check, type Settings, withServer } from "../lib/case.ts";
import { fillMixed, hashKv } from "../lib/fill.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";
import { random } from "../lib/random.ts";
import { Server } from "../lib/server.ts";

/** The key-values of the whole store as bytes, without the header, whose ids and term a restart may change. */
async function contents(server: Server): Promise<string> {
  const target: Target = { host: "127.0.0.1", port: server.clientPort };
  const zero = Buffer.from([0]);
  const reply = await callOnce(target, paths.range, range(zero, { end: zero }));
  const parts: string[] = [];
  for (const { field, bytes, number } of fieldsOf(reply))
    if (field !== 1) parts.push(field === 2 ? bytes.toString("latin1") : `${number}`);
  return parts.join("\n");
}

/** Flips a bit somewhere in the used part of a file: preallocated zeros at its end are left alone nine times of ten. */
function flipOne(dir: string, next: () => number): { file: string; at: number } {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(dir, name)).isFile() && statSync(join(dir, name)).size > 0)
    .sort();
  const file = files[Math.floor(next() * files.length)]!;
  const content = readFileSync(join(dir, file));
  let used = content.length;
  while (used > 1 && content[used - 1] === 0) used--;
  const at = Math.floor(next() * (next() < 0.9 ? used : content.length));
  content[at]! ^= 1 << Math.floor(next() * 8);
  writeFileSync(join(dir, file), content);
  return { file, at };
}

async function flips(settings: Settings): Promise<void> {
  const next = random(settings.seed);
  const rounds = settings.quick ? 10 : 200;
  let refused = 0;
  await withServer(settings.subject, {}, async (server, dir) => {
    await fillMixed(server);
    const before = { contents: await contents(server), hash: JSON.stringify(await hashKv(server)) };
    await server.stop();
    const advertise = { client: server.clientUrl, peer: `http://127.0.0.1:${server.peerPort}` };
    for (let round = 0; round < rounds; round++) {
      const copy = makeRunDir("flip");
      cpSync(server.options.dataDir, join(copy, "data"), { recursive: true });
      const { file, at } = flipOne(join(copy, "data"), next);
      const where = `round ${round}, seed ${settings.seed}: bit flipped in ${file} at ${at}`;
      try {
        const started = await start(settings, join(copy, "data"), advertise);
        if (typeof started === "string") {
          refused++;
          const base = file.split("/").pop()!;
          check(started.includes(base), `${where}: refused to start, but did not name the file\n${started}`);
          continue;
        }
        try {
          const after = { contents: await contents(started), hash: JSON.stringify(await hashKv(started)) };
          check(after.contents === before.contents, `${where}: the contents differ`);
          check(after.hash === before.hash, `${where}: the hash differs: ${after.hash}, was ${before.hash}`);
        } finally {
          await started.kill();
        }
      } finally {
        removeRunDir(copy);
      }
    }
    check(dir !== "", "the run directory");
  });
  console.log(
    `        ${rounds} flipped bits: ${refused} starts refused, ${rounds - refused} served unharmed, seed ${settings.seed}`,
  );
}

/** A running server, or why it would not start. */
async function start(
  settings: Settings,
  dataDir: string,
  advertise: { client: string; peer: string },
): Promise<Server | string> {
  try {
    return await Server.start(settings.subject, { dataDir, advertise });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export const corruptionCases: readonly Case[] = [
  {
    name: "corruption: a flipped bit is refused by name or does no harm, never read as truth",
    limitMs: 1_800_000,
    run: flips,
  },
];
