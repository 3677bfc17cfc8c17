// Goal: the generations of keys are etcd's, through puts, deletes, txns, compaction and pins. Method: testdata/generations.txt, commands and
// pictures side by side; UPDATE=1 rewrites the pictures, and the diff is read in review.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { LeaseId, Revision } from "../base/brand.ts";
import { latin1ToBytes } from "../base/bytes.ts";
import { type FileNumber, NO_SLOT, type WriteTxn } from "./contract.ts";
import type { Pin } from "./pins.ts";
import { newSlotList } from "./slot-list.ts";
import { Store } from "./store.ts";

const path = new URL("../../../src/mvcc/testdata/generations.txt", import.meta.url);

class Session {
  store = new Store({ seed: 1 });
  readonly pins = new Map<string, Pin>();

  run(lines: string[]): string {
    const answers: string[] = [];
    for (let i = 0; i < lines.length; i++) {
      if (lines[i] !== "txn") {
        answers.push(...this.one(lines[i]!.split(" ")));
        continue;
      }
      const txn = this.store.write();
      while (lines[i + 1]?.startsWith("  ")) change(txn, lines[++i]!.trim().split(" "));
      txn.end();
    }
    while (!this.store.compactSlice(1, undefined));
    return [...answers, this.store.describe()].join("\n");
  }

  one([verb, ...words]: string[]): string[] {
    const { store, pins } = this;
    if (verb === "new") this.store = new Store({ seed: 1 });
    else if (verb === "pin") pins.set(words[0]!, store.pin(Number(words[1]) as Revision));
    else if (verb === "release") pins.get(words[0]!)!.release();
    else if (verb === "compact") {
      const error = store.compact(Number(words[0]) as Revision);
      if (error !== undefined) return [error.message];
    } else if (verb === "find") {
      const slot = store.find(bytes(words[0]!), Number(words[1]) as Revision);
      if (slot === NO_SLOT) return [`${words[0]} at ${words[1]}: nothing`];
      const lease = store.leaseOf(slot);
      return [
        `${words[0]} at ${words[1]}: revision ${store.mainOf(slot)}.${store.subOf(slot)} lease ${lease}`,
      ];
    } else if (verb === "count") {
      return [`${store.count(bytes(words[0]!), bytes(words[1]!), Number(words[2]) as Revision)} keys`];
    } else {
      const txn = store.write();
      change(txn, [verb!, ...words]);
      txn.end();
    }
    return [];
  }
}

function bytes(word: string): Uint8Array {
  return latin1ToBytes(word.replaceAll("\\0", "\0"));
}

function change(txn: WriteTxn, [verb, key, argument]: string[]): void {
  if (verb === "put") txn.put(bytes(key!), BigInt(argument ?? 0) as LeaseId, 1 as FileNumber, 0, 1);
  else if (verb === "delete") txn.delete(bytes(key!), bytes(argument ?? ""), newSlotList());
  else assert.fail(`unknown command ${verb}`);
}

test("generations look as etcd's key index draws them", () => {
  const text = readFileSync(path, "utf8");
  const session = new Session();
  const sections = text.trimEnd().split("\n\n");
  const rewritten = sections.map((section) => {
    if (!section.includes("\n----")) return section;
    const [commands] = section.split("\n----");
    const lines = commands!.split("\n").filter((line) => !line.startsWith("#"));
    return `${commands}\n----\n${session.run(lines)}`;
  });
  const result = `${rewritten.join("\n\n")}\n`;
  if (process.env["UPDATE"] === "1") writeFileSync(path, result);
  else assert.equal(result, text);
});
