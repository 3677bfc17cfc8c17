// Goal: the thread that serves clients is lent to the disk only for small batches and while that is quick, and never for good nor never
// again because of one bad moment. Method: times are told, no clock runs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FlushPace, INLINE_MILLIS_MAX, LONE_BYTES_MAX } from "./flush-pace.ts";

const bytesMax = 64 << 10;

test("small batches are flushed inline on a fast device, big ones never", () => {
  const pace = new FlushPace(bytesMax);
  for (let i = 0; i < 100; i++) {
    assert.ok(pace.prefersInline(bytesMax));
    assert.ok(!pace.prefersInline(bytesMax + 1));
    pace.noteInline(0.12);
  }
});

test("slow flushes of big batches through the pool do not end inline flushes", () => {
  const pace = new FlushPace(bytesMax);
  pace.noteInline(0.1);
  for (let i = 0; i < 100; i++) pace.notePooled(8, 1 << 20);
  assert.ok(pace.prefersInline(1000));
  assert.ok(pace.pooledMillis > 7);
});

test("a slow device ends inline flushes, one slow flush on a fast one does not for long", () => {
  const pace = new FlushPace(bytesMax);
  for (let i = 0; i < 20; i++) pace.noteInline(5);
  assert.ok(!pace.prefersInline(100));
  for (let i = 0; i < 100; i++) pace.notePooled(5, 100);
  assert.ok(!pace.prefersInline(100), "it is still slow");
  for (let i = 0; i < 100; i++) pace.notePooled(0.01, 1 << 20);
  assert.ok(!pace.prefersInline(100), "big batches prove nothing about small ones");
  for (let i = 0; i < 20; i++) pace.notePooled(INLINE_MILLIS_MAX / 2, 100);
  assert.ok(pace.prefersInline(100), "it is quick again");
});

test("a lone client's flushes stay inline on a device that is too slow for batches", () => {
  const pace = new FlushPace(bytesMax);
  for (let i = 0; i < 20; i++) pace.noteInline(1);
  assert.ok(pace.prefersInline(LONE_BYTES_MAX));
  assert.ok(!pace.prefersInline(LONE_BYTES_MAX + 1));
  pace.noteInline(1000);
  assert.ok(pace.prefersInline(LONE_BYTES_MAX), "one bad moment is not the device's pace");
});
