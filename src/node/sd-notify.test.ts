// Goal: systemd hears READY=1 exactly when it asked to, and a missing tool is only an error line. Method: a stand-in for systemd's
// tool on the PATH writes down how it was called.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "../ports/logger.ts";
import { notifySystemd } from "./sd-notify.ts";

function waitForLast(environment: NodeJS.ProcessEnv): Promise<string[]> {
  return new Promise((resolve) => {
    const lines: string[] = [];
    const note = (message: string): void => {
      lines.push(message);
      if (lines.length === 2) resolve(lines);
    };
    notifySystemd({ ...silentLogger, info: note, error: note }, environment);
  });
}

test("without a socket nobody is told, which counts as told", async () => {
  assert.deepEqual(await waitForLast({}), ["notifying init daemon", "successfully notified init daemon"]);
});

test("with a socket systemd's tool is called with --ready", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cairn-sd-"));
  const tool = join(directory, "systemd-notify");
  writeFileSync(tool, '#!/bin/sh\necho "$NOTIFY_SOCKET $@" > "$OUT"\n');
  chmodSync(tool, 0o755);
  const out = join(directory, "out");
  const environment = { PATH: `${directory}:/bin:/usr/bin`, NOTIFY_SOCKET: "/run/notify", OUT: out };
  assert.deepEqual(await waitForLast(environment), [
    "notifying init daemon",
    "successfully notified init daemon",
  ]);
  assert.equal(readFileSync(out, "utf8"), "/run/notify --ready\n");
});

test("a missing tool is an error line, not an end", async () => {
  const lines = await waitForLast({ PATH: "/nonexistent", NOTIFY_SOCKET: "/run/notify" });
  assert.equal(lines[1], "failed to notify systemd for readiness");
});
