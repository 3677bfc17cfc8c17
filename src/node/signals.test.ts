// Goal: a signal stops the process gracefully and leaves the trace of that signal; a second one does not wait; a bug ends it with
// code 2 and a fatal line. Method: a child process runs the real handlers.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";

type End = { code: number | null; signal: NodeJS.Signals | null; log: string };

const LOGGER = new URL("./logger.js", import.meta.url).href;
const SIGNALS = new URL("./signals.js", import.meta.url).href;

/** Runs `body` in a child and sends it the signals, one each time it prints a line. */
function runChild(body: string, signals: readonly NodeJS.Signals[]): Promise<End> {
  const script = `
    const { createLogger, DEFAULT_LOGGING } = await import(${JSON.stringify(LOGGER)});
    const { handleSignals, handleUncaught } = await import(${JSON.stringify(SIGNALS)});
    const logger = createLogger(DEFAULT_LOGGING, "main.ts");
    const alive = setInterval(() => {}, 1000);
    ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  let sent = 0;
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  child.stdout.on("data", () => {
    const signal = signals[sent++];
    if (signal !== undefined) child.kill(signal);
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, log })));
}

test("a signal runs the stop, then the process dies of that signal", async () => {
  const body = `
    handleSignals(logger, async () => { logger.info("stopped"); clearInterval(alive); });
    console.log("ready");`;
  const end = await runChild(body, ["SIGTERM"]);
  assert.equal(end.signal, "SIGTERM");
  assert.match(end.log, /"msg":"received signal; shutting down","signal":"terminated"/);
  assert.match(end.log, /"msg":"stopped"/);
});

test("a second signal ends the process at once", async () => {
  const body = `
    handleSignals(logger, () => { console.log("stopping"); return new Promise(() => {}); });
    console.log("ready");`;
  const end = await runChild(body, ["SIGINT", "SIGINT"]);
  assert.equal(end.code, 130);
  assert.match(end.log, /received another signal; exiting at once/);
});

test("an exception that nobody caught is logged as fatal and ends with code 2", async () => {
  const end = await runChild('handleUncaught(logger); setImmediate(() => { throw new Error("bug"); });', []);
  assert.equal(end.code, 2);
  assert.match(
    end.log,
    /^\{"level":"fatal",.*"msg":"uncaught exception","error":"bug","stacktrace":"Error: bug/,
  );
  const rejected = await runChild('handleUncaught(logger); Promise.reject(new Error("lost"));', []);
  assert.equal(rejected.code, 2);
  assert.match(rejected.log, /"error":"lost"/);
});
