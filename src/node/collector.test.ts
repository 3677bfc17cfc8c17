// Goal: the collector's settings are ones that this version of the engine has. Method: it prints its options.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { COLLECTOR_FLAGS } from "./collector.ts";

test("the engine knows every flag that the collector is given", () => {
  const known = execFileSync(process.execPath, ["--v8-options"], { encoding: "latin1" });
  for (const flag of COLLECTOR_FLAGS)
    assert.match(
      known,
      new RegExp(`^\\s+--${flag.replace("--no-", "").replace(/^--/, "").replace(/=.*/, "")} `, "m"),
    );
});
