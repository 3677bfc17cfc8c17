// Goal: every message of every file survives encode and decode, and no input whatever makes a decoder do anything but answer or
// throw DecodeError. Method: messages are made from the descriptor tables, so a new message is covered without a line here.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DecodeError } from "./decode-error.ts";
import { type AnyMessage, type FieldDescriptor, fieldsOf } from "./descriptor.ts";
import { codecs } from "./generated/codecs.ts";

const runs = Number(process.env["FUZZ_RUNS"] ?? 8);
const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 1_000_000);
const parameters = { numRuns: runs, seed };

const U64 = 2n ** 64n - 1n;

function scalar(field: FieldDescriptor, like: unknown): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case "bool":
      return fc.boolean();
    case "string":
      return fc.string({ unit: "binary", maxLength: 40 });
    case "bytes":
      return fc.uint8Array({ maxLength: 60 });
    case "enum":
      return fc.oneof(fc.nat(5), fc.integer());
    case "uint32":
      return fc.nat(0xffffffff);
    case "uint64":
      return typeof like === "bigint" ? fc.oneof(fc.bigInt(0n, 200n), fc.bigInt(0n, U64)) : fc.maxSafeNat();
    default:
      if (typeof like === "bigint")
        return fc.oneof(fc.bigInt(0n, 200n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));
      return fc.oneof(fc.nat(300), fc.maxSafeInteger());
  }
}

/** Bigint or number? Repeated ids and oneof members have no default to look at: those named here are bigints. */
const BIGINTS = new Set(["voters", "learners", "votersOutgoing", "learnersNext", "lease"]);

function fieldArbitrary(field: FieldDescriptor, like: unknown, depth: number): fc.Arbitrary<unknown> {
  const sample = BIGINTS.has(field.property) ? 0n : like;
  if (field.kind === "message" && depth <= 0) return fc.constant(field.repeated ? [] : undefined);
  const one = field.kind === "message" ? messageArbitrary(field.typeName, depth - 1) : scalar(field, sample);
  if (field.repeated) return fc.array(one, { maxLength: 4 });
  if (field.kind !== "message") return one;
  return fc.option(one, { nil: undefined });
}

function messageArbitrary(typeName: string, depth: number): fc.Arbitrary<AnyMessage> {
  const empty = codecs.get(typeName)!.create();
  const properties: Record<string, fc.Arbitrary<unknown>> = {};
  const oneofs = new Map<string, fc.Arbitrary<unknown>[]>();
  for (const field of fieldsOf(typeName)!) {
    if (field.oneof === "") {
      properties[field.property] = fieldArbitrary(field, empty[field.property], depth);
    } else if (field.kind !== "message" || depth > 0) {
      const value =
        field.kind === "message"
          ? messageArbitrary(field.typeName, depth - 1)
          : fieldArbitrary(field, undefined, depth);
      const cases = oneofs.get(field.oneofProperty) ?? [];
      cases.push(value.map((v) => ({ case: field.property, value: v })));
      oneofs.set(field.oneofProperty, cases);
    }
  }
  for (const [property, cases] of oneofs) {
    properties[property] = fc.option(fc.oneof(...cases), { nil: undefined });
  }
  return fc.record(properties).map((values) => Object.assign(codecs.get(typeName)!.create(), values));
}

/** Buffers and plain arrays of bytes compare equal. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  }
  return value;
}

test(`every message is the same after encode and decode (seed ${seed})`, () => {
  for (const [typeName, codec] of codecs) {
    fc.assert(
      fc.property(messageArbitrary(typeName, 2), (message) => {
        const decoded = codec.decode(codec.encode(message));
        assert.deepEqual(plain(decoded), plain(message));
        assert.deepEqual(Object.keys(decoded), Object.keys(codec.create()), "the shape is fixed");
      }),
      parameters,
    );
  }
});

test("encoding is canonical: what was decoded encodes to the same bytes", () => {
  for (const [typeName, codec] of codecs) {
    fc.assert(
      fc.property(messageArbitrary(typeName, 2), (message) => {
        const bytes = codec.encode(message);
        assert.deepEqual([...codec.encode(codec.decode(bytes))], [...bytes]);
      }),
      { ...parameters, numRuns: Math.ceil(runs / 3) },
    );
  }
});

test("two encodings one after the other decode as their merge: singular messages merge, lists append", () => {
  const codec = codecs.get("etcdserverpb.RangeResponse")!;
  fc.assert(
    fc.property(
      messageArbitrary("etcdserverpb.RangeResponse", 1),
      messageArbitrary("etcdserverpb.RangeResponse", 1),
      (a, b) => {
        const merged = codec.decode(Uint8Array.from([...codec.encode(a), ...codec.encode(b)]));
        assert.equal(
          (merged["kvs"] as unknown[]).length,
          (a["kvs"] as unknown[]).length + (b["kvs"] as unknown[]).length,
        );
        assert.equal(merged["count"], (b["count"] as number) !== 0 ? b["count"] : a["count"]);
        const term = (m: AnyMessage): number =>
          (m["header"] as { raftTerm: number } | undefined)?.raftTerm ?? 0;
        assert.equal(term(merged), term(b) !== 0 ? term(b) : term(a));
      },
    ),
    parameters,
  );
});

function mustNotCrash(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error));
  }
}

test("random bytes decode or are refused, never more", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const codec of codecs.values()) mustNotCrash(() => codec.decode(bytes));
    }),
    { ...parameters, numRuns: runs * 5 },
  );
});

test("a truncated or flipped message decodes or is refused, and no view reaches outside the given range", () => {
  for (const typeName of ["etcdserverpb.TxnRequest", "etcdserverpb.InternalRaftRequest", "raftpb.Message"]) {
    const codec = codecs.get(typeName)!;
    fc.assert(
      fc.property(messageArbitrary(typeName, 2), fc.nat(), fc.nat(255), (message, where, flip) => {
        const bytes = codec.encode(message);
        const padded = new Uint8Array(bytes.length + 64).fill(0xee);
        padded.set(bytes, 32);
        for (let end = 0; end <= bytes.length; end++) {
          mustNotCrash(() => assertInside(codec.decode(padded, 32, 32 + end), padded, 32, 32 + end));
        }
        if (bytes.length === 0) return;
        padded[32 + (where % bytes.length)]! ^= flip;
        mustNotCrash(() =>
          assertInside(codec.decode(padded, 32, 32 + bytes.length), padded, 32, 32 + bytes.length),
        );
      }),
      parameters,
    );
  }
});

function assertInside(value: unknown, input: Uint8Array, start: number, end: number): void {
  if (value instanceof Uint8Array) {
    if (value.length === 0) return;
    assert.equal(value.buffer, input.buffer, "bytes are views");
    assert.ok(value.byteOffset >= input.byteOffset + start);
    assert.ok(value.byteOffset + value.length <= input.byteOffset + end);
  } else if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) assertInside(inner, input, start, end);
  }
}
