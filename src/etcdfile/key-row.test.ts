// Goal: the quick way to read a row's KeyValue reads what the generated decoder reads, and refuses what that refuses. Method: rows of all
// sizes, cut at every byte and damaged by dice, read by both.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dice } from "../sim/log-model.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeKeyValue, encodeKeyValue } from "../wire/generated/mvccpb.ts";
import { KeyValueFields } from "./key-row.ts";

type Whole = {
  key: Uint8Array;
  createRevision: number;
  modRevision: number;
  version: number;
  value: Uint8Array;
  lease: bigint;
};

function outcome(read: () => Whole): Whole | "refused" {
  try {
    const { key, createRevision, modRevision, version, value, lease } = read();
    return { key: key.slice(), createRevision, modRevision, version, value: value.slice(), lease };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return "refused";
  }
}

function assertSame(bytes: Uint8Array, start: number, end: number): void {
  const fields = new KeyValueFields();
  const found = outcome(() => {
    fields.read(bytes, start, end);
    return fields;
  });
  const wanted = outcome(() => decodeKeyValue(bytes, start, end) as Whole);
  assert.deepEqual(found, wanted, `${Buffer.from(bytes.subarray(start, end)).toString("hex")}`);
}

test("a row is read, or refused, as the generated decoder reads or refuses it", () => {
  const random = dice(24);
  const numbers = [0, 1, 127, 128, 10_000, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 40];
  const pick = (): number => numbers[random.below(numbers.length)]!;
  for (let round = 0; round < 200; round++) {
    const row = encodeKeyValue({
      key: random.bytes(random.below(60)),
      createRevision: pick(),
      modRevision: pick(),
      version: pick(),
      value: random.bytes(random.below(300)),
      lease: random.below(3) === 0 ? -5n : 0n,
    });
    const bytes = new Uint8Array(row.length + 8);
    bytes.set(row, 3);
    for (let end = 3; end <= 3 + row.length; end++) assertSame(bytes, 3, end);
    bytes[3 + random.below(row.length + 1)] = random.below(256);
    assertSame(bytes, 3, 3 + row.length);
  }
});
