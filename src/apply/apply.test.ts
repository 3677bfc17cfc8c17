// Goal: each request gives etcd's answer, events and revision, also when it is refused. Method: data-driven files in testdata; each
// begins with an empty store. UPDATE=1 rewrites them: read the diff.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Directive, parseDirectives } from "../base/testing/datadriven.ts";
import { ApplyEnv } from "./testing/apply-env.ts";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../../src/apply/testdata");

/** The first line of a file may say `# quota=N`. */
function newEnv(text: string): ApplyEnv {
  const quota = /^# quota=(\d+)/.exec(text);
  return quota === null ? new ApplyEnv() : new ApplyEnv(Number(quota[1]));
}

/** The file with what `answers` say in place of what was expected. */
function rewritten(
  text: string,
  answers: readonly { readonly directive: Directive; readonly answer: string }[],
): string {
  const lines = text.split("\n");
  for (const { directive, answer } of [...answers].reverse()) {
    const separator = lines.indexOf("----", directive.line - 1);
    let end = separator + 1;
    while (end < lines.length && lines[end]!.trim() !== "") end++;
    lines.splice(
      separator + 1,
      end - separator - 1,
      ...answer
        .trimEnd()
        .split("\n")
        .filter((line) => line !== ""),
    );
  }
  return lines.join("\n");
}

for (const name of readdirSync(FOLDER).sort()) {
  test(`apply answers as ${name} says`, () => {
    const path = join(FOLDER, name);
    const text = readFileSync(path, "utf8");
    const env = newEnv(text);
    const answers = parseDirectives(text).map((directive) => ({ directive, answer: env.run(directive) }));
    if (process.env["UPDATE"] !== undefined) writeFileSync(path, rewritten(text, answers));
    else
      for (const { directive, answer } of answers)
        assert.equal(answer, directive.expected, `${name}:${directive.line}: ${directive.command}`);
  });
}
