// Goal: 64-bit numbers survive, texts are Go's, and no text makes the reader crash. Method: round trips, Go's captured texts,
// and JSON.parse as the oracle of what is JSON at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatBigJson, type Json, parseBigJson } from "./big-json.ts";
import { FormatError } from "./format-error.ts";

test("a 64-bit id keeps its digits", () => {
  const text = '{"id":18446744073709551615,"peerURLs":["http://localhost:2380"],"name":"default"}';
  const parsed = parseBigJson(text);
  assert.equal((parsed as { id: bigint }).id, 18446744073709551615n);
  assert.equal(formatBigJson(parsed), text);
});

test("text is escaped as Go escapes it", () => {
  assert.equal(
    formatBigJson('a"\\\n\u0001<b>&\u2028é'),
    '"a\\"\\\\\\n\\u0001\\u003cb\\u003e\\u0026\\u2028é"',
  );
});

test("what is written is read back", () => {
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(null),
      fc.boolean(),
      fc.bigInt(),
      fc.string({ unit: "binary" }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie("value"), { maxKeys: 4 }),
    ),
  })).value as fc.Arbitrary<Json>;
  fc.assert(
    fc.property(json, (value) => {
      const text = formatBigJson(value);
      assert.equal(formatBigJson(parseBigJson(text)), text);
    }),
  );
});

test("it accepts exactly what JSON.parse accepts", () => {
  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    '"a"',
    ":",
    ",",
    "1",
    "-",
    "0",
    ".5",
    "e3",
    " ",
    "true",
    "null",
    '"',
    "\\",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
      const text = pieces.join("");
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      if (valid) parseBigJson(text);
      else assert.throws(() => parseBigJson(text), FormatError);
    }),
    { numRuns: 2000 },
  );
  assert.throws(() => parseBigJson("[".repeat(100_000)), /too deep/);
});
