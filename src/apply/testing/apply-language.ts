// The words of the data-driven tests of apply: keys (`a`, or a range `[a,b)`; `[a,)` has no end), options, and transactions as lines.
//   if mod a = 3        then put a 1 lease=7        else txn {        …        }
import { assert, must } from "../../base/assert.ts";
import { latin1ToBytes } from "../../base/bytes.ts";
import type { Argument } from "../../base/testing/datadriven.ts";
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type CompareTargetUnion,
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../../wire/generated/etcdserverpb.ts";

const RESULTS: Readonly<Record<string, number>> = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  ">": CompareResult.GREATER,
  "<": CompareResult.LESS,
};

type Args = readonly Argument[];

function option(args: Args, name: string): string | undefined {
  return args.find(({ key, values }) => key === name && values.length > 0)?.values[0];
}

function flag(args: Args, name: string): boolean {
  return args.some(({ key, values }) => key === name && values.length === 0);
}

function number(args: Args, name: string): number {
  return Number(option(args, name) ?? 0);
}

/** Arguments of the form `k=v`, and words; the first words are the key and the value. */
export function wordsOf(line: string): Args {
  return line
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => {
      const at = word.indexOf("=");
      return at > 0 ? { key: word.slice(0, at), values: [word.slice(at + 1)] } : { key: word, values: [] };
    });
}

/** `a`, `[a,b)` or `[a,)`. */
export function keysOf(text: string): { key: Uint8Array; rangeEnd: Uint8Array } {
  const range = /^\[([^,]*),([^)]*)\)$/.exec(text);
  if (range === null) return { key: latin1ToBytes(text), rangeEnd: latin1ToBytes("") };
  return { key: latin1ToBytes(range[1]!), rangeEnd: latin1ToBytes(range[2] === "" ? "\0" : range[2]!) };
}

/** `put KEY [VALUE] [lease=N] [prev_kv] [ignore_value] [ignore_lease]`; a value of `x*N` is N times x. */
export function putOf(args: Args): PutRequest {
  const value = args[1] === undefined || args[1].values.length > 0 || isFlag(args[1].key) ? "" : args[1].key;
  const repeated = /^(.)\*(\d+)$/.exec(value);
  return {
    ...createPutRequest(),
    key: latin1ToBytes(must(args[0], "a put has a key").key),
    value: latin1ToBytes(repeated === null ? value : repeated[1]!.repeat(Number(repeated[2]))),
    lease: BigInt(option(args, "lease") ?? 0),
    prevKv: flag(args, "prev_kv"),
    ignoreValue: flag(args, "ignore_value"),
    ignoreLease: flag(args, "ignore_lease"),
  };
}

function isFlag(word: string): boolean {
  return word === "prev_kv" || word === "ignore_value" || word === "ignore_lease";
}

export function deleteOf(args: Args): DeleteRangeRequest {
  const keys = keysOf(must(args[0], "a delete has a key").key);
  return { ...createDeleteRangeRequest(), ...keys, prevKv: flag(args, "prev_kv") };
}

export function rangeOf(args: Args): RangeRequest {
  return {
    ...createRangeRequest(),
    ...keysOf(must(args[0], "a range has a key").key),
    revision: number(args, "rev"),
    limit: number(args, "limit"),
    sortOrder: number(args, "order"),
    sortTarget: number(args, "target"),
    countOnly: flag(args, "count_only"),
    keysOnly: flag(args, "keys_only"),
    minModRevision: number(args, "min_mod"),
    maxModRevision: number(args, "max_mod"),
    minCreateRevision: number(args, "min_create"),
    maxCreateRevision: number(args, "max_create"),
  };
}

export function parseTxn(input: string): TxnRequest {
  const lines = input.split("\n").map((line) => line.trim());
  const at = { line: 0 };
  return readTxn(lines, at);
}

function readTxn(lines: readonly string[], at: { line: number }): TxnRequest {
  const txn: TxnRequest = { compare: [], success: [], failure: [] };
  for (; at.line < lines.length && lines[at.line] !== "}"; at.line++) {
    const [word, ...rest] = lines[at.line]!.split(/\s+/);
    if (word === "if") txn.compare.push(compareOf(rest));
    else if (word === "then") txn.success.push(opOf(rest, lines, at));
    else if (word === "else") txn.failure.push(opOf(rest, lines, at));
    else assert(word === "", `a line of a txn begins with if, then or else: ${lines[at.line]}`);
  }
  return txn;
}

function opOf(words: readonly string[], lines: readonly string[], at: { line: number }): RequestOp {
  const args = wordsOf(words.slice(1).join(" "));
  switch (words[0]) {
    case "put":
      return { request: { case: "requestPut", value: putOf(args) } };
    case "delete":
      return { request: { case: "requestDeleteRange", value: deleteOf(args) } };
    case "get":
      return { request: { case: "requestRange", value: rangeOf(args) } };
    default:
      assert(
        words[0] === "txn" && words[1] === "{",
        `an op is put, delete, get or txn {: ${words.join(" ")}`,
      );
      at.line++;
      return { request: { case: "requestTxn", value: readTxn(lines, at) } };
  }
}

/** `TARGET KEYS RESULT WANTED`. */
function compareOf([target, keys, result, wanted]: readonly string[]): Compare {
  const { number: targetNumber, union } = targetOf(must(target, "a target"), must(wanted, "a value"));
  return {
    ...keysOf(must(keys, "a key")),
    result: must(RESULTS[must(result, "=, !=, < or >")], "=, !=, < or >"),
    target: targetNumber,
    targetUnion: union,
  };
}

function targetOf(target: string, wanted: string): { number: number; union: CompareTargetUnion } {
  switch (target) {
    case "version":
      return { number: CompareTarget.VERSION, union: { case: "version", value: Number(wanted) } };
    case "create":
      return { number: CompareTarget.CREATE, union: { case: "createRevision", value: Number(wanted) } };
    case "mod":
      return { number: CompareTarget.MOD, union: { case: "modRevision", value: Number(wanted) } };
    case "lease":
      return { number: CompareTarget.LEASE, union: { case: "lease", value: BigInt(wanted) } };
    default:
      assert(target === "value", `no target ${target}`);
      return { number: CompareTarget.VALUE, union: { case: "value", value: latin1ToBytes(wanted) } };
  }
}
