// Huffman coding of HPACK strings. Decoding walks a table four bits at a time, built once from the code: a state is an inner
// node of the code's tree, and no nibble can finish more than one byte, since the shortest code has five bits.
// Called by hpack-decoder (and the encoder by tests and src/client); must never read past `end`.
import { HUFFMAN_CODES, HUFFMAN_LENGTHS } from "./huffman-table.ts";

const EOS = 256;
const EOS_CODE = 0x3fffffff;
const EOS_LENGTH = 30;

// One transition: bits 0–8 the next state, bits 9–16 the byte it emits, bit 17 that it emits, bit 18 that it fails.
const EMITS = 1 << 17;
const FAILS = 1 << 18;

type Tree = { readonly children: Int32Array; readonly count: number };

/** Child entries: ≥ 0 an inner node, < 0 the leaf of symbol -(entry + 1), 0 absent (the root is nobody's child). */
function buildTree(): Tree {
  const children = new Int32Array(2 * 512);
  let count = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    const code = symbol === EOS ? EOS_CODE : HUFFMAN_CODES[symbol]!;
    const length = symbol === EOS ? EOS_LENGTH : HUFFMAN_LENGTHS[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const slot = 2 * node + ((code >>> bit) & 1);
      if (children[slot] === 0) children[slot] = count++;
      node = children[slot]!;
    }
    children[2 * node + (code & 1)] = -(symbol + 1);
  }
  return { children, count };
}

function transition(tree: Tree, state: number, nibble: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = tree.children[2 * node + ((nibble >>> bit) & 1)]!;
    if (child >= 0) {
      node = child;
      continue;
    }
    const symbol = -child - 1;
    if (symbol === EOS) return FAILS;
    emitted = EMITS | (symbol << 9);
    node = 0;
  }
  return emitted | node;
}

function buildTransitions(tree: Tree): Int32Array {
  const table = new Int32Array(tree.count * 16);
  for (let state = 0; state < tree.count; state++) {
    for (let nibble = 0; nibble < 16; nibble++) table[state * 16 + nibble] = transition(tree, state, nibble);
  }
  return table;
}

/** States in which a string may end: fewer than eight bits of padding, all ones. */
function buildAccepting(tree: Tree): Uint8Array {
  const accepting = new Uint8Array(tree.count);
  let node = 0;
  for (let bits = 0; bits < 8; bits++) {
    accepting[node] = 1;
    node = tree.children[2 * node + 1]!;
  }
  return accepting;
}

const tree = buildTree();
const transitions = buildTransitions(tree);
const accepting = buildAccepting(tree);

/** Decodes buffer[start, end) into `out`, which holds at least 8/5 of the input; returns the length, or -1 for a bad code. */
export function huffmanDecode(buffer: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = buffer[at]!;
    let step = transitions[(state << 4) | (byte >>> 4)]!;
    if ((step & EMITS) !== 0) out[length++] = (step >>> 9) & 0xff;
    else if ((step & FAILS) !== 0) return -1;
    step = transitions[((step & 0x1ff) << 4) | (byte & 15)]!;
    if ((step & EMITS) !== 0) out[length++] = (step >>> 9) & 0xff;
    else if ((step & FAILS) !== 0) return -1;
    state = step & 0x1ff;
  }
  return accepting[state] === 1 ? length : -1;
}

/** The code of `text` (latin1), padded with ones. */
export function huffmanEncode(text: string): Uint8Array {
  const out: number[] = [];
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = HUFFMAN_CODES[symbol]!;
    for (let bit = HUFFMAN_LENGTHS[symbol]! - 1; bit >= 0; bit--) {
      held = (held << 1) | ((code >>> bit) & 1);
      if (++bits === 8) {
        out.push(held);
        bits = 0;
        held = 0;
      }
    }
  }
  if (bits > 0) out.push(((held << (8 - bits)) | ((1 << (8 - bits)) - 1)) & 0xff);
  return Uint8Array.from(out);
}
