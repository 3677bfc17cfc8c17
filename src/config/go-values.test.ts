// Goal: values are read and shown as Go's strconv and time do. The pairs were printed by Go 1.26 for random texts.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, parseBool, parseDuration, parseInteger, quote } from "./go-values.ts";

const INT64: readonly [bigint, bigint] = [-(2n ** 63n), 2n ** 63n - 1n];

test("integers take Go's prefixes and underscores, and nothing else", () => {
  const good: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["-0x1f", -31],
    ["0b11", 3],
    ["0o17", 15],
    ["017", 15],
    ["0_7", 7],
    ["1_000", 1000],
    ["0x_1", 1],
    ["+5", 5],
  ];
  for (const [text, value] of good) assert.deepEqual(parseInteger(text, ...INT64), { ok: true, value }, text);
  for (const text of ["", "-", "08", "1__0", "_1", "1_", "0_x1", "0x", "1e3", " 1", "1 ", "--1"]) {
    assert.deepEqual(parseInteger(text, ...INT64), { ok: false, error: "parse error" }, text);
  }
  assert.equal(parseInteger("9223372036854775808", ...INT64).ok, false);
  assert.equal(parseInteger("+1", 0n, 10n).ok, false);
});

test("durations are read and shown as package time does", () => {
  const pairs: readonly (readonly [string, string])[] = [
    ["1h1m1.5s", "1h1m1.5s"],
    [".5s", "500ms"],
    ["90m", "1h30m0s"],
    ["1500us", "1.5ms"],
    ["-36h", "-36h0m0s"],
    ["10m", "10m0s"],
    ["1.5\u00b5s", "1.5\u00b5s"],
    ["0", "0s"],
    ["1m0.000000001s", "1m0.000000001s"],
  ];
  for (const [given, shown] of pairs) {
    const value = parseDuration(given);
    assert.ok(value.ok, given);
    assert.equal(formatDuration(value.value), shown);
  }
  const error = (text: string): string => {
    const value = parseDuration(text);
    return value.ok ? "" : value.error;
  };
  assert.equal(error("5"), 'time: missing unit in duration "5"');
  assert.equal(error("5x"), 'time: unknown unit "x" in duration "5x"');
  assert.equal(error(""), 'time: invalid duration ""');
  assert.equal(error("h\u00b5s"), 'time: invalid duration "h\\xc2\\xb5s"');
});

test("a duration that is shown reads back as itself", () => {
  fc.assert(
    fc.property(fc.integer({ min: -(10 ** 15), max: 10 ** 15 }), (nanos) => {
      const back = parseDuration(formatDuration(nanos));
      // The parts are decimal fractions of seconds: reading them rounds by less than a nanosecond.
      assert.ok(back.ok && Math.abs(back.value - nanos) <= 1);
    }),
  );
});

test("texts are quoted as %q does", () => {
  assert.equal(
    quote('a"b\\c\n\t\u0007\u000b\u0001\u007f\u0085\u00e4'),
    '"a\\"b\\\\c\\n\\t\\a\\v\\x01\\x7f\\u0085\u00e4"',
  );
});

test("truth has Go's spellings", () => {
  for (const text of ["1", "t", "T", "true", "TRUE", "True"]) assert.equal(parseBool(text), true);
  for (const text of ["0", "f", "F", "false", "FALSE", "False"]) assert.equal(parseBool(text), false);
  for (const text of ["", "yes", "tRUE", "2"]) assert.equal(parseBool(text), undefined);
});
