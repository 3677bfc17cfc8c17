// Goal: the checksum is Castagnoli's for every length, and chains. Method: published vectors, and a bit-by-bit oracle.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { utf8ToBytes } from "./bytes.ts";
import { crc32c, crc32cRange } from "./crc32c.ts";

function oracle(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return ~crc >>> 0;
}

test("the published vectors hold", () => {
  assert.equal(crc32c(utf8ToBytes("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

test("any bytes, cut anywhere, give the checksum of the whole", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, at) => {
      const cut = Math.min(at, bytes.length);
      const whole = oracle(bytes);
      assert.equal(crc32c(bytes), whole);
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), whole);
      assert.equal(crc32cRange(bytes, cut, bytes.length, crc32cRange(bytes, 0, cut)), whole);
    }),
  );
});
