// Goal: what etcdctl prints and reads, piece by piece, as the real one (3.7.1) was seen to. The whole is compared with it in
// interop/ctl-compare.
import assert from "node:assert/strict";
import { test } from "node:test";
import { commandTree } from "../cli/command.ts";
import { FlagSet } from "../cli/flag-set.ts";
import { createStatusResponse } from "../wire/generated/etcdserverpb.ts";
import { etcdctl } from "./commands.ts";
import {
  hexBytes,
  hexIdPadded,
  hexLease,
  humanBytes,
  parseInt64,
  parseUint64,
  quoteBytes,
  scanQuoted,
} from "./format.ts";
import { jsonMessage, jsonString } from "./json.ts";
import { completions } from "./run/completion.ts";
import { parseCompare } from "./run/txn.ts";
import { parseWatchArguments, type WatchArguments } from "./run/watch-arguments.ts";
import { watchFlags } from "./specs.ts";
import { drawTable } from "./table.ts";
import { splitWords } from "./words.ts";

test("bytes are quoted as Go's %q quotes a string", () => {
  assert.equal(quoteBytes(Buffer.from('a"b\\\n\t\u0000é\u2028')), '"a\\"b\\\\\\n\\t\\x00é\\u2028"');
  assert.equal(quoteBytes(Uint8Array.of(0xff, 0x61, 0xc3)), '"\\xffa\\xc3"');
});

test("a Go literal is read back to the bytes it was quoted from", () => {
  for (const bytes of [Buffer.from("plain"), Buffer.from('q"\\\u0007é𝄞'), Buffer.of(0xff, 0, 0x80)]) {
    const text = `${quoteBytes(bytes)} rest`;
    assert.deepEqual(Buffer.from(scanQuoted(text, 0)!.value), bytes);
  }
  assert.equal(Buffer.from(scanQuoted('"\\101\\u00e9"', 0)!.value).toString(), "Aé");
  for (const wrong of ['"open', '"\\q"', '"\\xZZ"', "bare", '"\\ud800"'])
    assert.equal(scanQuoted(wrong, 0), undefined);
});

test("ids, sizes and --hex have etcdctl's shapes", () => {
  assert.equal(hexLease(0x1234n), "0000000000001234");
  assert.equal(hexLease(-1n), "-000000000000001");
  assert.equal(hexIdPadded(0xabcn), "             abc");
  assert.equal(hexBytes(Buffer.from("fo")), "\\x66\\x6f");
  assert.deepEqual([0, 9, 999, 20480, 421888, 2147483648].map(humanBytes), [
    "0 B",
    "9 B",
    "999 B",
    "20 kB",
    "422 kB",
    "2.1 GB",
  ]);
});

test("integers are refused in strconv's words", () => {
  assert.equal(parseInt64("-8000000000000000", 16), -(2n ** 63n));
  assert.equal(parseInt64("zz", 16), 'strconv.ParseInt: parsing "zz": invalid syntax');
  assert.equal(
    parseInt64("9223372036854775808", 10),
    'strconv.ParseInt: parsing "9223372036854775808": value out of range',
  );
  assert.equal(parseUint64("-1", 16), 'strconv.ParseUint: parsing "-1": invalid syntax');
  assert.equal(parseUint64("", 16), 'strconv.ParseUint: parsing "": invalid syntax');
});

test("JSON has Go's names, order and escapes, ids in full, and no zeros", () => {
  assert.equal(jsonString('<&>"\u2028\b'), '"\\u003c\\u0026\\u003e\\"\\u2028\\u0008"');
  assert.equal(jsonString("back\\slash b"), '"back\\\\slash b"');
  const status = createStatusResponse();
  status.header = { clusterId: 2n ** 64n - 1n, memberId: 1n, revision: 0, raftTerm: 2 };
  status.dbSize = 5;
  status.errors = ["x"];
  status.downgradeInfo = { enabled: false, targetVersion: "" };
  assert.equal(
    jsonMessage("etcdserverpb.StatusResponse", status),
    '{"header":{"cluster_id":18446744073709551615,"member_id":1,"raft_term":2},"dbSize":5,"errors":["x"],"downgradeInfo":{}}',
  );
});

test("tables are drawn with centred headings and cells to the right", () => {
  assert.equal(
    drawTable(["id", "is_up"], [["abcdef", "1"]]),
    "┌────────┬───────┐\n│   ID   │ IS UP │\n├────────┼───────┤\n│ abcdef │     1 │\n└────────┴───────┘\n",
  );
});

test("a comparison of a transaction is understood, or refused with what was got", () => {
  const parsed = parseCompare('mod("a b") != "7"');
  assert.deepEqual([Buffer.from(parsed.key).toString(), parsed.result], ["a b", 3]);
  assert.deepEqual(parsed.targetUnion, { case: "modRevision", value: 7 });
  const texts: Record<string, string> = {
    nothing: "malformed comparison: nothing",
    'mod("a")> "0"': 'malformed comparison: mod("a")> "0"; got mod("a")  ""',
    'mod("a") > 0': 'malformed comparison: mod("a") > 0; got mod("a") > ""',
    'size("a") > "0"': 'malformed comparison: size("a") > "0" (unknown target size)',
    'mod("a") > "x"': 'invalid txn compare request: mod("a") > "x"',
  };
  for (const [line, message] of Object.entries(texts)) assert.throws(() => parseCompare(line), { message });
});

test("a line is cut into words, quotes keep spaces", () => {
  assert.deepEqual(splitWords('put k "a \\"b\\" c" \'d e\' f'), ["put", "k", 'a "b" c', "d e", "f"]);
  assert.deepEqual(splitWords("   "), []);
});

function watchArguments(words: string, env: { key?: string; end?: string } = {}): WatchArguments | string {
  const raw = words.split(" ").filter((word) => word !== "");
  const flags = new FlagSet();
  for (const spec of watchFlags) flags.add(spec);
  flags.parse(raw);
  return parseWatchArguments({
    raw,
    args: flags.args,
    envKey: env.key ?? "",
    envRange: env.end ?? "",
    interactive: undefined,
  });
}

test("what stands before and after -- in a watch is keys and a command, whatever flags stand between", () => {
  assert.deepEqual(watchArguments("foo"), { keys: ["foo"], command: [] });
  assert.deepEqual(watchArguments("foo --rev 1 bar -- echo foo"), {
    keys: ["foo", "bar"],
    command: ["echo", "foo"],
  });
  assert.deepEqual(watchArguments("-- echo x", { key: "k", end: "l" }), {
    keys: ["k", "l"],
    command: ["echo", "x"],
  });
  assert.equal(watchArguments(""), "bad number of arguments");
  assert.equal(watchArguments("foo --"), "bad number of arguments (found separator --, but no commands)");
  const conflict = "bad number of arguments (found conflicting environment key)";
  assert.equal(watchArguments("foo", { key: "k" }), conflict);
  assert.equal(watchArguments("foo -- echo 1", { key: "k" }), conflict);
});

test("completion offers commands, flags and the values of flags", () => {
  const tree = commandTree(etcdctl);
  const offered = (...words: string[]): string[] =>
    completions(tree, words).choices.map((each) => each.split("\t")[0]!);
  assert.deepEqual(offered("lea"), ["lease"]);
  assert.deepEqual(offered("lease", "re"), ["revoke"]);
  assert.deepEqual(offered("get", "--write-out", "j"), ["json"]);
  assert.ok(offered("get", "--").includes("--prefix"));
  assert.deepEqual(offered("completion", "z"), ["zsh"]);
});
