// The picture of a store that tests, doctor and debug logs show: one line of numbers, then one line of generations per key. It
// walks everything, so it is not for big stores.
import { latin1FromBytes } from "../base/bytes.ts";
import type { Slot } from "./contract.ts";
import type { KeyId } from "./key-arena.ts";
import { NO_LEAF } from "./key-tree.ts";
import { PREVIOUS, SUB, SUB_MASK } from "./row-table.ts";
import type { Tables } from "./tables.ts";

export function describeTables(tables: Tables, compactions: string): string {
  const { arena, rows, tree } = tables;
  const lines = [
    `revision ${tables.current}, ${compactions}; ${tree.alive} of ${tree.size} keys alive, ${rows.rows} rows`,
  ];
  tree.seekFirst();
  for (let leaf = tree.leaf; leaf !== NO_LEAF; leaf = tree.nextLeaf(leaf)) {
    const words = tree.leafWords(leaf);
    const start = tree.leafStart(leaf);
    for (let i = start; i < start + tree.leafCount(leaf); i++) {
      lines.push(`${latin1FromBytes(arena.bytesOf(words[i]!))} ${generations(tables, words[i]!)}`);
    }
  }
  return lines.join("\n");
}

/** Oldest first; a put shows its create revision and version, a tombstone ends its generation. */
function generations(tables: Tables, id: KeyId): string {
  const { arena, rows } = tables;
  const chain: Slot[] = [];
  for (let slot = arena.newestOf(id) as Slot; slot !== -1; slot = rows.word(slot, PREVIOUS) as Slot)
    chain.unshift(slot);
  let text = "";
  let open = false;
  for (const slot of chain) {
    text += open ? " " : " {";
    text += `${rows.mainOf(slot)}.${rows.word(slot, SUB) & SUB_MASK}`;
    open = !rows.isTombstone(slot);
    text += open ? `(c${rows.createOf(slot)} v${rows.versionOf(slot)})` : "t}";
  }
  return open ? `${text.slice(1)}}` : text.slice(1);
}
