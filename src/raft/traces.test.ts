// Goal: this raft is etcd's raft, line by line. Method: replay the data-driven traces of etcd-io/raft v3.7.0, whole clusters with
// every message, log line and Ready. The traces stand beside the checkout (or where RAFT_TRACES_DIR says); without them, skipped.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Directive, parseDirectives } from "../base/testing/datadriven.ts";
import { ConfChangeEnv } from "./testing/confchange.ts";
import { interact } from "./testing/interaction.ts";
import { InteractionEnv } from "./testing/interaction-env.ts";
import { runQuorum } from "./testing/quorum.ts";

function tracesDirectory(): string | undefined {
  const named = process.env["RAFT_TRACES_DIR"];
  if (named !== undefined && named !== "") return named;
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    if (!existsSync(join(at, "package.json"))) continue;
    const beside = join(dirname(at), "shared", "raft-traces");
    return existsSync(beside) ? beside : undefined;
  }
  return undefined;
}

const directory = tracesDirectory();
const skip = directory === undefined && "no ../shared/raft-traces beside the checkout (set RAFT_TRACES_DIR)";

function replay(kind: string, newRunner: () => (directive: Directive) => string): void {
  const folder = join(directory ?? "", kind);
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  assert.ok(names.length > 0, `${folder} holds traces`);
  for (const name of names) {
    const run = newRunner();
    for (const directive of parseDirectives(readFileSync(join(folder, name), "utf8"))) {
      const output = run(directive);
      const actual = output.endsWith("\n") ? output : `${output}\n`;
      assert.equal(actual, directive.expected, `${kind}/${name}:${directive.line} ${directive.command}`);
    }
  }
}

test("clusters say and send what etcd's do in every interaction trace", { skip }, () => {
  replay("interaction", () => {
    const env = new InteractionEnv();
    return (directive) => interact(env, directive);
  });
});

test("membership changes lead where etcd's do in every confchange trace", { skip }, () => {
  replay("confchange", () => {
    const env = new ConfChangeEnv();
    return (directive) => env.run(directive);
  });
});

test("quorums decide as etcd's do in every quorum trace", { skip }, () => {
  replay("quorum", () => runQuorum);
});
