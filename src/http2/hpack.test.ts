// Goal: header blocks are read exactly, whatever tables, Huffman and memo do. Method: examples of RFC 7541's appendix, a dumb
// encoder with its own table as the other side, and random bytes, which must never throw.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderMemo } from "./header-memo.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { huffmanDecode, huffmanEncode } from "./huffman.ts";
import { RequestHead } from "./request-head.ts";
import { STATIC_TABLE } from "./static-table.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 300);
const SEED = process.env["FUZZ_SEED"] === undefined ? {} : { seed: Number(process.env["FUZZ_SEED"]) };

function list(decoder: HpackDecoder, hex: string): string[] {
  const block = Buffer.from(hex.replace(/\s/g, ""), "hex");
  const fields = decoder.decode(block, 0, block.length, 1 << 20);
  assert.ok(fields !== undefined);
  return fields.map((field) => `${field.name}: ${field.value}`);
}

test("RFC 7541 C.4: requests with Huffman, on one dynamic table", () => {
  const decoder = new HpackDecoder();
  assert.deepEqual(list(decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"), [
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
  ]);
  assert.deepEqual(list(decoder, "8286 84be 5886 a8eb 1064 9cbf"), [
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
    "cache-control: no-cache",
  ]);
  assert.deepEqual(list(decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"), [
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
  ]);
});

test("any text survives Huffman, and every wrong padding is refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      const code = huffmanEncode(text);
      const out = Buffer.alloc(code.length * 2 + 8);
      const length = huffmanDecode(code, 0, code.length, out);
      assert.equal(out.toString("latin1", 0, length), text);
      const padded = Buffer.concat([code, Uint8Array.of(0xff)]);
      assert.equal(huffmanDecode(padded, 0, padded.length, Buffer.alloc(padded.length * 2 + 8)), -1);
    }),
    { numRuns: RUNS, ...SEED },
  );
});

/** An encoder whose every choice is given from outside, with the simplest possible table: the oracle. */
class DumbEncoder {
  readonly table: [string, string][] = [];
  sizeMax = 4096;
  out: number[] = [];

  #integer(prefixBits: number, first: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.out.push(first | value);
      return;
    }
    this.out.push(first | mask);
    let left = value - mask;
    for (; left >= 128; left >>>= 7) this.out.push((left & 0x7f) | 0x80);
    this.out.push(left);
  }

  #string(text: string, huffman: boolean): void {
    const bytes = huffman ? huffmanEncode(text) : Buffer.from(text, "latin1");
    this.#integer(7, huffman ? 0x80 : 0, bytes.length);
    this.out.push(...bytes);
  }

  resize(size: number): void {
    this.#integer(5, 0x20, size);
    this.sizeMax = size;
    this.#evict();
  }

  #evict(): void {
    const size = (): number => this.table.reduce((sum, [n, v]) => sum + n.length + v.length + 32, 0);
    while (size() > this.sizeMax) this.table.pop();
  }

  field(name: string, value: string, how: number): void {
    const all = [...STATIC_TABLE, ...this.table];
    const whole = all.findIndex(([n, v]) => n === name && v === value) + 1;
    const named = all.findIndex(([n]) => n === name) + 1;
    if (whole > 0 && how % 2 === 0) {
      this.#integer(7, 0x80, whole);
      return;
    }
    const indexing = how % 3 === 0;
    if (indexing) this.#integer(6, 0x40, named);
    else this.#integer(4, how % 5 === 0 ? 0x10 : 0, named);
    if (named === 0) this.#string(name, how % 7 < 3);
    this.#string(value, how % 11 < 5);
    if (!indexing) return;
    this.table.unshift([name, value]);
    this.#evict();
  }

  take(): Buffer {
    const block = Buffer.from(this.out);
    this.out = [];
    return block;
  }
}

const name = fc.constantFrom(":path", ":method", "grpc-timeout", "token", "x-long-name", "user-agent");
const value = fc.oneof(
  fc.constantFrom("", "POST", "/a.B/C", "1S", "z".repeat(700)),
  fc.string({ maxLength: 20, unit: "binary-ascii" }),
);
const blocks = fc.array(
  fc.record({
    resize: fc.option(fc.integer({ min: 0, max: 4096 }), { freq: 6 }),
    fields: fc.array(fc.tuple(name, value, fc.nat(1000)), { maxLength: 12 }),
    again: fc.boolean(),
  }),
  { maxLength: 25 },
);

test("what an encoder with any habits writes is read back, and the memo never tells a lie", () => {
  fc.assert(
    fc.property(blocks, (plan) => {
      const encoder = new DumbEncoder();
      const decoder = new HpackDecoder();
      const memo = new HeaderMemo();
      const receive = (block: Buffer): string[] => {
        let head = memo.find(block, 0, block.length, decoder.generation);
        if (head === undefined) {
          const before = decoder.generation;
          const fields = decoder.decode(block, 0, block.length, 1 << 20);
          assert.ok(fields !== undefined);
          head = new RequestHead(fields);
          memo.remember(block, 0, block.length, before, decoder.generation, head);
        }
        return head.fields.map((field) => `${field.name}=${field.value}`);
      };
      for (const step of plan) {
        if (step.resize !== null) encoder.resize(step.resize);
        for (const [n, v, how] of step.fields) encoder.field(n, v, how);
        const wanted = step.fields.map(([n, v]) => `${n}=${v}`);
        assert.deepEqual(receive(encoder.take()), wanted);
        if (!step.again) continue;
        for (const [n, v] of step.fields) encoder.field(n, v, 2);
        assert.deepEqual(receive(encoder.take()), wanted);
      }
    }),
    { numRuns: RUNS, ...SEED },
  );
});

test("random blocks are answered or refused, never more", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), (parts) => {
      const decoder = new HpackDecoder();
      for (const part of parts) {
        const block = Buffer.from(part);
        const fields = decoder.decode(block, 0, block.length, 4000);
        if (fields === undefined) return;
        new RequestHead(fields);
      }
    }),
    { numRuns: 4 * RUNS, ...SEED },
  );
});

test("a list over its limit is cut, but the table stays right", () => {
  const encoder = new DumbEncoder();
  const decoder = new HpackDecoder();
  encoder.field("token", "z".repeat(700), 9);
  encoder.field("x-long-name", "kept", 9);
  const block = encoder.take();
  assert.equal(decoder.decode(block, 0, block.length, 300)?.length, 0);
  assert.equal(decoder.listTooLarge, true);
  encoder.field("x-long-name", "kept", 2);
  const next = encoder.take();
  assert.equal(decoder.decode(next, 0, next.length, 300)?.[0]?.value, "kept");
});

test("a request's head is judged as RFC 9113 wants it", () => {
  const head = (...pairs: readonly (readonly [string, string])[]): RequestHead => {
    const encoder = new DumbEncoder();
    for (const [n, v] of pairs) encoder.field(n, v, 1);
    const block = encoder.take();
    return new RequestHead(new HpackDecoder().decode(block, 0, block.length, 1 << 20)!);
  };
  const good = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/a/b"],
  ] as const;
  assert.equal(head(...good).malformed, false);
  assert.equal(head(...good).complete, true);
  assert.equal(head(good[0], good[1]).complete, false);
  for (const bad of [
    ["Upper", "x"],
    ["connection", "close"],
    ["te", "gzip"],
    [":other", "x"],
    [":path", "/again"],
    ["content-length", "-1"],
    ["x", "a\r\nb: c"],
    ["", "x"],
  ] as const) {
    assert.equal(head(...good, bad).malformed, true, bad[0]);
  }
  assert.equal(head(...good, ["te", "trailers"]).malformed, false);
  assert.equal(head(good[0], ["x", "y"], good[1], good[2]).malformed, true);
});
