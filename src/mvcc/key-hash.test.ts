// Goal: every key that was added and not removed is found, no other one is, however segments split or double. Method: random adds and
// removes against a Map; a low depth limit stands for hostile keys whose hashes agree.
import assert from "node:assert/strict";
import { test } from "node:test";
import { latin1ToBytes } from "../base/bytes.ts";
import { KeyArena, type KeyId, NO_KEY } from "./key-arena.ts";
import { KeyHash } from "./key-hash.ts";
import { Random } from "./model.test.ts";

for (const depthMax of [0, 1, 20]) {
  test(`keys are found among 20,000 when segments split up to depth ${depthMax}`, () => {
    const arena = new KeyArena(5);
    const hash = new KeyHash(arena, 0, depthMax);
    const random = new Random(depthMax);
    const there = new Map<string, KeyId>();
    const compare = (key: string): void => {
      assert.equal(hash.find(arena.probe(latin1ToBytes(key))), there.get(key) ?? NO_KEY);
    };
    for (let step = 0; step < 60_000; step++) {
      const key = `key${random.below(20_000)}`;
      const code = arena.probe(latin1ToBytes(key));
      const id = there.get(key);
      if (id === undefined) {
        const added = arena.addProbe();
        hash.add(code, added);
        there.set(key, added);
      } else if (random.below(2) === 0) {
        hash.remove(code, id);
        arena.remove(id);
        there.delete(key);
      }
      if (step % 7 === 0) compare(`key${random.below(20_000)}`);
    }
    for (let i = 0; i < 20_000; i++) compare(`key${i}`);
    for (const [key, id] of there) hash.remove(arena.probe(latin1ToBytes(key)), id);
    there.clear();
    for (let i = 0; i < 20_000; i += 9) compare(`key${i}`);
  });
}

for (const [expected, depthMax] of [
  [0, 20],
  [20_000, 20],
  [20_000, 3],
] as const) {
  test(`keys that are added together are found, with room for ${expected} and depth up to ${depthMax}`, () => {
    const arena = new KeyArena(6);
    const hash = new KeyHash(arena, expected, depthMax);
    const ids: KeyId[] = [];
    for (const together of [1, 5000, 0, 15_000]) {
      const from = ids.length;
      const hashes = new Int32Array(together);
      for (let i = 0; i < together; i++) {
        hashes[i] = arena.probe(latin1ToBytes(`key${from + i}`));
        ids.push(arena.addProbe());
      }
      hash.addAll(hashes, Int32Array.from(ids.slice(from)));
    }
    for (let i = 0; i < 21_000; i++)
      assert.equal(hash.find(arena.probe(latin1ToBytes(`key${i}`))), ids[i] ?? NO_KEY);
  });
}
