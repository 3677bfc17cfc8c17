// Goal: a log line is, byte for byte, what etcd's zap writes; nothing is lost at the end; files rotate as lumberjack's do.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLogger, DEFAULT_LOGGING, type LoggingOptions } from "./logger.ts";
import { consoleLine, jsonLine, Timestamps } from "./logger-format.ts";
import { backupName, listBackups } from "./logger-rotation.ts";

const TIME = "2026-01-02T03:04:05.678901Z";

function inDirectory(options: Partial<LoggingOptions>): { path: string; options: LoggingOptions } {
  const path = join(mkdtempSync(join(tmpdir(), "cairn-log-")), "etcd.log");
  return { path, options: { ...DEFAULT_LOGGING, outputs: [path], ...options } };
}

test("a JSON line has zap's keys in zap's order", () => {
  const fields = { urls: ["a", "b"], n: 5, id: 2n ** 63n, ok: true, error: new Error("no"), gone: undefined };
  assert.equal(
    jsonLine("info", TIME, "raft", "member/member.ts", "hello", fields),
    `{"level":"info","ts":"${TIME}","logger":"raft","caller":"member/member.ts","msg":"hello",` +
      `"urls":["a","b"],"n":5,"id":9223372036854775808,"ok":true,"error":"no"}\n`,
  );
  assert.equal(
    jsonLine("warn", TIME, "", "a/b.ts", 'say "hi"\n\u0008\u001b', undefined),
    `{"level":"warn","ts":"${TIME}","caller":"a/b.ts","msg":"say \\"hi\\"\\n\\u0008\\u001b"}\n`,
  );
});

test("a console line is separated by tabs, its fields are JSON with spaces", () => {
  const line = consoleLine("fatal", TIME, "", "a/b.ts", "discovery failed", { name: "x", urls: ["a", "b"] });
  assert.equal(line, `${TIME}\tfatal\ta/b.ts\tdiscovery failed\t{"name": "x", "urls": ["a", "b"]}\n`);
  assert.equal(consoleLine("info", TIME, "raft", "r.ts", "m", undefined), `${TIME}\tinfo\traft\tr.ts\tm\n`);
});

test("a field that holds itself does not hang the log", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  assert.match(jsonLine("info", TIME, "", "c", "m", loop), /\[object\]/);
});

test("times carry microseconds in local time", () => {
  const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678) * 1000 + 901;
  const text = new Timestamps().format(at);
  assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:05\.678901(Z|[+-]\d{4})$/);
  assert.equal(Date.parse(text.replace(/(\d\d)(\d\d)$/, "$1:$2")), Math.floor(at / 1000));
});

test("what is logged before the end is in the file, lines below the level are not", () => {
  const { path, options } = inDirectory({ level: "warn" });
  const logger = createLogger(options, "a.ts");
  logger.info("hidden");
  logger.named("b.ts", "raft").warn("seen", { n: 1 });
  assert.equal(logger.debugEnabled, false);
  logger.close();
  const text = readFileSync(path, "utf8");
  assert.match(
    text,
    /^\{"level":"warn","ts":"[^"]+","logger":"raft","caller":"b.ts","msg":"seen","n":1\}\n$/,
  );
});

test("of a flood of equal lines the first hundred and then every hundredth are written", () => {
  const { path, options } = inDirectory({});
  const logger = createLogger(options, "a.ts");
  for (let i = 0; i < 500; i++) logger.warn("flood");
  logger.warn("other");
  logger.close();
  const lines = readFileSync(path, "utf8").trim().split("\n");
  assert.ok(lines.length >= 105 && lines.length <= 210, String(lines.length));
  assert.match(lines.at(-1) ?? "", /"msg":"other"/);
});

test("a file that is full is moved aside, and only so many backups stay", () => {
  const rotation = { sizeBytesMax: 300, ageDaysMax: 0, backupsMax: 2, localTime: false, compress: false };
  const { path, options } = inDirectory({ rotation });
  const logger = createLogger(options, "a.ts");
  for (let i = 0; i < 12; i++) {
    logger.info(`line ${i}`, { filler: "x".repeat(80) });
    logger.flushSync();
  }
  logger.close();
  assert.ok(listBackups(path).length <= 2);
  assert.ok(listBackups(path).length >= 1);
  assert.match(readFileSync(path, "utf8"), /line 11/);
  assert.ok(
    readdirSync(join(path, "..")).every((name) =>
      /^etcd(-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})?\.log$/.test(name),
    ),
  );
});

test("backups are named as lumberjack names them", () => {
  const at = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  assert.equal(backupName("/var/log/etcd.log", at, false), "/var/log/etcd-2026-01-02T03-04-05.006.log");
});

test("a slow reader gets every line once and in order", async () => {
  const logger = new URL("./logger.js", import.meta.url).href;
  const script = `
    const { createLogger, DEFAULT_LOGGING } = await import(${JSON.stringify(logger)});
    const logger = createLogger(DEFAULT_LOGGING, "a.ts");
    for (let i = 0; i < 3000; i++) {
      logger.info("line " + i, { filler: "x".repeat(100) });
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await logger.flush();
    process.exit(0);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    // Taking one chunk per turn lets the pipe fill up in between.
    child.stderr.pause();
    setImmediate(() => child.stderr.resume());
  });
  await new Promise((resolve) => child.on("close", resolve));
  const numbers = [...text.matchAll(/"msg":"line (\d+)"/g)].map((match) => Number(match[1]));
  assert.equal(numbers.length, 3000);
  assert.ok(numbers.every((number, i) => number === i));
});
