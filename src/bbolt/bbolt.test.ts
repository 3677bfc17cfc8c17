// Goal: what the writer writes the reader reads back, whatever the shapes of rows and chunks; and no damage to a file makes the
// reader crash, loop, or give rows that were never written. Method: random buckets against plain lists; every byte of a small
// file flipped and every length cut; hand-made hostile pages.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareBytes, concatBytes, copyBytes, equalBytes, utf8ToBytes } from "../base/bytes.ts";
import { FormatError } from "../base/format-error.ts";
import { checkFile } from "./check.ts";
import { encodeMetaPage, fnv64a } from "./meta.ts";
import { PAGE_SIZE, PageFlag, writePageHeader, writeU64 } from "./page.ts";
import { BoltFile, bucketName, bytesSource } from "./reader.ts";
import { type BucketSource, bucketOfRows, type Row } from "./rows.ts";
import { BoltWriter } from "./writer.ts";

type Content = Map<string, Row[]>;

function write(buckets: readonly BucketSource[], chunkBytes = 64 * 1024, planRows = 7): Uint8Array {
  const writer = new BoltWriter(buckets, { chunkBytes });
  while (!writer.plan(planRows));
  const chunks: Uint8Array[] = [];
  for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) chunks.push(chunk);
  const file = copyBytes(concatBytes(chunks));
  assert.equal(file.length, writer.fileBytes);
  return file;
}

function writeContent(content: Content, chunkBytes?: number): Uint8Array {
  return write(
    [...content].map(([name, rows]) => bucketOfRows(utf8ToBytes(name), rows)),
    chunkBytes,
  );
}

function read(file: Uint8Array): Content {
  const bolt = new BoltFile(bytesSource(file));
  const content: Content = new Map();
  for (const bucket of bolt.buckets()) {
    const rows: Row[] = [];
    const cursor = bolt.rows(bucket);
    while (cursor.next()) rows.push({ key: copyBytes(cursor.key()), value: copyBytes(cursor.value()) });
    content.set(bucketName(bucket), rows);
  }
  return content;
}

function sorted(content: Content): Content {
  const byName = [...content].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(byName.map(([name, rows]) => [name, [...rows].sort((a, b) => compareBytes(a.key, b.key))]));
}

/** deepEqual for tens of thousands of rows. */
function assertSame(actual: Content, expected: Content): void {
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  for (const [name, rows] of expected) {
    const found = actual.get(name)!;
    assert.equal(found.length, rows.length);
    rows.forEach((row, i) => {
      assert.ok(
        equalBytes(found[i]!.key, row.key) && equalBytes(found[i]!.value, row.value),
        `${name}, row ${i}`,
      );
    });
  }
}

function numbered(count: number, valueLength: (i: number) => number): Row[] {
  return Array.from({ length: count }, (_, i) => {
    const key = new Uint8Array(17).fill(95);
    new DataView(key.buffer).setBigUint64(0, BigInt(i + 2));
    return { key, value: new Uint8Array(valueLength(i)).fill(i) };
  });
}

const anyRows = fc.uniqueArray(
  fc.record(
    {
      key: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      value: fc.uint8Array({ maxLength: 3000 }),
    },
    { noNullPrototype: true },
  ),
  { selector: (row) => Buffer.from(row.key).toString("hex"), maxLength: 60 },
);

test("any buckets are read back as they were written", () => {
  const buckets = fc.dictionary(fc.stringMatching(/^[a-z]{1,12}$/), anyRows, { maxKeys: 5 });
  fc.assert(
    fc.property(buckets, fc.constantFrom(PAGE_SIZE, 2 * PAGE_SIZE, 64 * 1024), (dictionary, chunkBytes) => {
      const content: Content = new Map(Object.entries(dictionary));
      const file = writeContent(content, chunkBytes);
      assertSame(read(file), sorted(content));
      assert.deepEqual(checkFile(new BoltFile(bytesSource(file)), bytesSource(file)), []);
    }),
    { numRuns: 60 },
  );
});

test("a bucket with several levels of branches keeps every row", () => {
  const content: Content = new Map([["key", numbered(30_000, (i) => 250 + (i % 7))]]);
  const file = writeContent(content);
  assertSame(read(file), content);
  assert.deepEqual(checkFile(new BoltFile(bytesSource(file)), bytesSource(file)), []);
});

test("values longer than a page, and than a chunk, run over as many pages as they need", () => {
  const sizes = [0, 5000, 1, 300_000, 4064, 4063, 4062, 12_000, 3];
  const content: Content = new Map([["key", numbered(sizes.length, (i) => sizes[i]!)]]);
  assert.deepEqual(read(writeContent(content, PAGE_SIZE)), content);
});

test("keys as long as the format allows still make branches of two children", () => {
  const rows = Array.from({ length: 9 }, (_, i) => ({
    key: new Uint8Array(32768).fill(i + 1),
    value: Uint8Array.of(i),
  }));
  assert.deepEqual(read(writeContent(new Map([["big", rows]]))), new Map([["big", rows]]));
});

test("a small bucket lives in its entry, an empty file has no bucket", () => {
  const file = writeContent(
    new Map([
      ["a", []],
      ["b", numbered(20, () => 10)],
    ]),
  );
  assert.equal(file.length, 3 * PAGE_SIZE);
  assert.deepEqual([...read(writeContent(new Map())).keys()], []);
});

test("the file is the same bytes whatever the chunks", () => {
  const content: Content = new Map([
    ["key", numbered(2000, (i) => (i * 37) % 900)],
    ["meta", numbered(3, () => 8)],
  ]);
  assert.deepEqual(writeContent(content, PAGE_SIZE), writeContent(content, 1024 * 1024));
});

/** Everything that a reader does with a file; a FormatError is the only way out but success. */
function survives(file: Uint8Array): Content | undefined {
  try {
    const bolt = new BoltFile(bytesSource(file));
    checkFile(bolt, bytesSource(file));
    return read(file);
  } catch (error) {
    assert.ok(error instanceof FormatError, `a damaged file ends in a FormatError, not in ${String(error)}`);
    return undefined;
  }
}

test("a file cut at any length is refused", () => {
  const file = writeContent(new Map([["key", numbered(400, () => 40)]]));
  for (let length = 0; length < file.length; length += length < 200 ? 1 : 97) {
    assert.equal(survives(file.subarray(0, length)), undefined, `cut at ${length}`);
  }
});

test("a flipped byte anywhere is survived, and in headers and element tables it never adds a row", () => {
  const content: Content = new Map([
    ["key", numbered(150, (i) => (i === 50 ? 9000 : 30))],
    ["meta", numbered(4, () => 8)],
  ]);
  const file = writeContent(content);
  for (let at = 0; at < file.length; at += at % PAGE_SIZE < 400 ? 3 : 97) {
    const damaged = copyBytes(file);
    damaged[at]! ^= 0xff;
    const rows = survives(damaged)?.get("key");
    assert.ok(rows === undefined || rows.length <= 150, `byte ${at}`);
  }
});

test("a torn newest meta falls back to the one before", () => {
  const content: Content = new Map([["key", numbered(10, () => 2000)]]);
  for (const id of [0, 1]) {
    const file = writeContent(content);
    file.fill(0xee, id * PAGE_SIZE, (id + 1) * PAGE_SIZE);
    assertSame(read(file), content);
  }
});

/** A branch page whose children are all itself, or one empty leaf many times. */
test("a tree that loops or shares pages is refused", () => {
  const file = writeContent(new Map([["key", numbered(4000, () => 100)]]));
  const bolt = new BoltFile(bytesSource(file));
  const [bucket] = bolt.buckets();
  const root = bolt.page(bucket!.root);
  assert.equal(root.leaf, false);
  const loop = copyBytes(file);
  writeU64(loop, root.offset + 16 + 8, root.id);
  assert.throws(() => read(loop), /is referred to twice/);
  const shared = copyBytes(file);
  shared.copyWithin(root.offset + 32 + 8, root.offset + 16 + 8, root.offset + 16 + 16);
  assert.throws(() => read(shared), FormatError);
  const beyond = copyBytes(file);
  writeU64(beyond, root.offset + 16 + 8, 2 ** 50);
  assert.throws(() => read(beyond), /page 1125899906842624 is referred to/);
});

test("FNV-1a is the published one", () => {
  assert.equal(fnv64a(utf8ToBytes("foobar")), 0x85944171f73967e8n);
});

/** The file with a persisted free list that names these pages, on a page of its own at the end. */
function withFreelist(file: Uint8Array, free: readonly number[]): Uint8Array {
  const { meta } = new BoltFile(bytesSource(file));
  const page = new Uint8Array(PAGE_SIZE);
  writePageHeader(page, 0, meta.pageCount, PageFlag.Freelist, free.length, 0);
  free.forEach((id, i) => {
    writeU64(page, 16 + 8 * i, id);
  });
  const grown = { ...meta, freelist: meta.pageCount, pageCount: meta.pageCount + 1 };
  const metas = [
    encodeMetaPage({ ...grown, transaction: 4 }, 0),
    encodeMetaPage({ ...grown, transaction: 3 }, 1),
  ];
  return copyBytes(concatBytes([...metas, file.subarray(2 * PAGE_SIZE), page]));
}

test("the whole-file check finds pages that are lost, or both free and in use", () => {
  const rows = new Map([["key", numbered(100, () => 100)]]);
  const check = (file: Uint8Array): string[] => checkFile(new BoltFile(bytesSource(file)), bytesSource(file));
  const file = writeContent(rows);
  assert.deepEqual(check(withFreelist(file, [])), []);
  assert.deepEqual(check(withFreelist(file, [2])), ["page 2: reachable freed"]);
  const longer = concatBytes([file, new Uint8Array(PAGE_SIZE)]);
  const { meta } = new BoltFile(bytesSource(file));
  for (const id of [0, 1] as const) {
    const grown = { ...meta, pageCount: meta.pageCount + 1, transaction: 4 - id };
    longer.set(encodeMetaPage(grown, id), id * PAGE_SIZE);
  }
  const lost = meta.pageCount;
  assert.deepEqual(check(withFreelist(longer, [])), [`page ${lost}: unreachable unfreed`]);
  assert.deepEqual(check(withFreelist(longer, [lost])), []);
  assert.deepEqual(check(withFreelist(longer, [lost, lost])), [`page ${lost}: already freed`]);
  assert.deepEqual(check(withFreelist(longer, [lost, 999])), [`page 999: out of bounds: ${lost + 2}`]);
});
