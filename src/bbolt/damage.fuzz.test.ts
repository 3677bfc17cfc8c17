// Goal: whatever bytes of a database file are damaged, reading it ends, in rows or in a FormatError. Method: files of random shape,
// random bytes overwritten, most of them in page headers and element tables, where they do most harm.
// FUZZ_SEED repeats a run, FUZZ_RUNS makes it longer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, copyBytes, utf8ToBytes } from "../base/bytes.ts";
import { FormatError } from "../base/format-error.ts";
import { checkFile } from "./check.ts";
import { PAGE_SIZE } from "./page.ts";
import { BoltFile, bytesSource } from "./reader.ts";
import { bucketOfRows, type Row } from "./rows.ts";
import { BoltWriter } from "./writer.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 400);
/** Headers and the first elements of a page. */
const HOT_BYTES = 80;

/** A small generator of the linear kind: the same seed, the same run. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function someFile(below: (n: number) => number): Uint8Array {
  const buckets = ["key", "meta", "lease", "members"].map((name) => {
    const rows = new Map<string, Row>();
    for (let i = below(below(4) === 0 ? 600 : 12); i > 0; i--) {
      const key = `${below(100_000)}`.repeat(1 + below(3));
      const length = below(20) === 0 ? below(12_000) : below(120);
      rows.set(key, { key: utf8ToBytes(key), value: new Uint8Array(length).fill(i) });
    }
    return bucketOfRows(utf8ToBytes(name), [...rows.values()]);
  });
  const writer = new BoltWriter(buckets);
  while (!writer.plan(100));
  const chunks: Uint8Array[] = [];
  for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) chunks.push(chunk);
  return copyBytes(concatBytes(chunks));
}

function damage(file: Uint8Array, below: (n: number) => number): void {
  for (let i = 1 + below(6); i > 0; i--) {
    // The metas are sealed: damage to them is met before anything else, and would hide all other.
    const page = (2 + below(file.length / PAGE_SIZE - 2)) * PAGE_SIZE;
    const at = below(3) === 0 ? page + below(PAGE_SIZE) : page + below(HOT_BYTES);
    file[at] = below(4) === 0 ? file[below(file.length)]! : below(256);
  }
}

/** More rows than the file has room for would mean that something is read twice. */
function countRows(file: Uint8Array): number {
  const bolt = new BoltFile(bytesSource(file));
  let rows = 0;
  for (const bucket of bolt.buckets()) {
    const cursor = bolt.rows(bucket);
    while (cursor.next()) rows++;
  }
  return rows;
}

test("a damaged file is read to an end or refused, whatever the damage", () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = SEED + run;
    const below = random(seed);
    const file = someFile(below);
    const rows = countRows(file);
    damage(file, below);
    try {
      const findings = checkFile(new BoltFile(bytesSource(file)), bytesSource(file));
      const found = countRows(file);
      assert.ok(
        findings.length > 0 || found <= rows + HOT_BYTES,
        `FUZZ_SEED=${seed}: ${found} rows of ${rows}`,
      );
    } catch (error) {
      assert.ok(error instanceof FormatError, `FUZZ_SEED=${seed} FUZZ_RUNS=1: ${String(error)}`);
    }
  }
});
