// The keys in byte order: a B+tree over KeyIds in typed arrays, which knows for every subtree how many of its keys are alive at
// the newest revision, so that counting a range costs two descents. Keys enter with their first row and leave with their last;
// in between they may be dead. The key a call is about is the arena's probe. Called by the store and its parts only.
//
// Leaf:  [count][next leaf or −1][words that all its keys have in common][60 key ids][60 heads: the word after those]
// Inner: [count][60 children][60 separators][60 counts of alive keys]
// Invariant: for i > 0, separator i of an inner node is the smallest key below child i. Separator 0 is never read.
import { assert } from "../base/assert.ts";
import type { KeyArena, KeyId } from "./key-arena.ts";
import { NodePool } from "./node-pool.ts";

const COMMON = 2;
const LEAF_HEAD = 3;
export const LEAF_KEYS = 60;
/** From a key id to its head: most steps of a search in a leaf then touch no key at all. */
const HEADS = LEAF_KEYS;
const LEAF_WORDS = LEAF_HEAD + 2 * LEAF_KEYS + 1;
const FANOUT = 60;
const CHILDREN = 1;
const SEPARATORS = CHILDREN + FANOUT;
const COUNTS = SEPARATORS + FANOUT;
const INNER_WORDS = COUNTS + FANOUT;
const HEIGHT_MAX = 16;
export const NO_LEAF = -1;

/** A leaf or inner node that is built in order is filled so far: later keys find room. */
const BUILT_LEAF_KEYS = 54;
const BUILT_CHILDREN = 54;

/** Nodes of one level in order: each with its smallest key and its number of alive keys. */
export type TreeBuild = { nodes: number[]; firsts: KeyId[]; alive: number[] };

export class KeyTree {
  readonly #arena: KeyArena;
  readonly #leaves = new NodePool(LEAF_WORDS, 9);
  readonly #inners = new NodePool(INNER_WORDS, 6);
  #root: number;
  /** 0: the root is a leaf. */
  #height = 0;
  #keys = 0;
  #alive = 0;
  /** The way of the last descent: node and child index at each level; level 1 is right above the leaves. */
  readonly #pathNode = new Int32Array(HEIGHT_MAX);
  readonly #pathIndex = new Int32Array(HEIGHT_MAX);
  /** The leaf of the last key that was added, as long as the path leads to it: keys often come in order. */
  #lastLeaf = NO_LEAF;
  /** Where the last seek ended: before the first key that is not below the probe. leaf is NO_LEAF at the end of the tree. */
  leaf = NO_LEAF;
  index = 0;

  constructor(arena: KeyArena) {
    this.#arena = arena;
    this.#root = this.#newLeaf();
  }

  /** Keys in the tree, alive or not. */
  get size(): number {
    return this.#keys;
  }

  get alive(): number {
    return this.#alive;
  }

  get memoryBytes(): number {
    return this.#leaves.memoryBytes + this.#inners.memoryBytes;
  }

  /** Adds the key `id`, which equals the probe and is not in the tree. */
  add(id: KeyId, alive: boolean): void {
    const known = this.#lastLeaf;
    const leaf = known !== NO_LEAF && this.#encloses(known) ? known : this.#descend();
    if (alive) this.#addAlive(1);
    this.#keys++;
    const index = this.#lowerBound(leaf);
    if (this.leafCount(leaf) < LEAF_KEYS) {
      this.#insertKey(leaf, index, id);
      this.#lastLeaf = leaf;
    } else {
      this.#splitLeaf(leaf, index, id);
      this.#lastLeaf = NO_LEAF;
    }
  }

  /** The probe's key, which is in the tree, became alive (+1) or dead (−1). */
  adjust(by: 1 | -1): void {
    if (this.#height > 0) this.#descend();
    this.#addAlive(by);
  }

  /** Takes the dead key `id`, which equals the probe, out of the tree. */
  remove(id: KeyId): void {
    const leaf = this.#descend();
    const index = this.#lowerBound(leaf);
    const words = this.#leafWords(leaf);
    const at = this.#leafAt(leaf);
    assert(words[at + LEAF_HEAD + index] === id, "a removed key is in the tree");
    this.#keys--;
    const count = words[at]! - 1;
    for (let i = at + LEAF_HEAD + index; i < at + LEAF_HEAD + count; i++) {
      words[i] = words[i + 1]!;
      words[i + HEADS] = words[i + HEADS + 1]!;
    }
    words[at] = count;
    if (index === 0 && count > 0) this.#setMinimum(1, words[at + LEAF_HEAD]!);
    if (count < LEAF_KEYS >>> 2 && this.#height > 0) this.#mendLeaf();
  }

  /** Sets leaf and index before the first key that is not below the probe. */
  seek(): void {
    const leaf = this.#descend();
    const index = this.#lowerBound(leaf);
    this.#settle(leaf, index);
  }

  /** Sets leaf and index before the first key of the tree. */
  seekFirst(): void {
    this.#lastLeaf = NO_LEAF;
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      this.#pathNode[level] = node;
      this.#pathIndex[level] = 0;
      node = this.#innerWords(node)[this.#innerAt(node) + CHILDREN]!;
    }
    this.#settle(node, 0);
  }

  /** How many keys below the probe are alive. */
  rank(): number {
    let rank = 0;
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const words = this.#innerWords(node);
      const at = this.#innerAt(node);
      const child = this.#childOf(words, at);
      for (let i = at + COUNTS; i < at + COUNTS + child; i++) rank += words[i]!;
      node = words[at + CHILDREN + child]!;
    }
    const words = this.#leafWords(node);
    const first = this.#leafAt(node) + LEAF_HEAD;
    const end = first + this.#lowerBound(node);
    for (let i = first; i < end; i++) if (this.#arena.isAlive(words[i]!)) rank++;
    return rank;
  }

  /** Adds a key behind all others of a tree that is being built; the tree cannot be asked before seal(). */
  append(build: TreeBuild, id: KeyId, alive: boolean): void {
    let leaf = build.nodes[build.nodes.length - 1];
    if (leaf === undefined || this.leafCount(leaf) === BUILT_LEAF_KEYS) {
      const first = leaf === undefined ? this.#root : this.#newLeaf();
      if (leaf !== undefined) {
        this.#leafWords(leaf)[this.#leafAt(leaf) + 1] = first;
        this.#setHeads(leaf);
      }
      leaf = first;
      build.nodes.push(leaf);
      build.firsts.push(id);
      build.alive.push(0);
    }
    const words = this.#leafWords(leaf);
    const at = this.#leafAt(leaf);
    words[at + LEAF_HEAD + words[at]!++] = id;
    this.#keys++;
    if (!alive) return;
    build.alive[build.alive.length - 1]!++;
    this.#alive++;
  }

  /** Builds the inner nodes over the leaves that append() filled. */
  seal(build: TreeBuild): void {
    let { nodes, firsts, alive } = build;
    if (nodes.length > 0) this.#setHeads(nodes[nodes.length - 1]!);
    while (nodes.length > 1) {
      const above: TreeBuild = { nodes: [], firsts: [], alive: [] };
      const groups = Math.ceil(nodes.length / BUILT_CHILDREN);
      for (let group = 0; group < groups; group++) {
        // Shared out evenly, so that no node gets a single child.
        const from = Math.floor((group * nodes.length) / groups);
        const to = Math.floor(((group + 1) * nodes.length) / groups);
        const node = this.#inners.allocate();
        const words = this.#innerWords(node);
        const at = this.#innerAt(node);
        words[at] = to - from;
        let sum = 0;
        for (let i = from; i < to; i++) {
          words[at + CHILDREN + i - from] = nodes[i]!;
          words[at + SEPARATORS + i - from] = firsts[i]!;
          words[at + COUNTS + i - from] = alive[i]!;
          sum += alive[i]!;
        }
        above.nodes.push(node);
        above.firsts.push(firsts[from]!);
        above.alive.push(sum);
      }
      ({ nodes, firsts, alive } = above);
      this.#height++;
    }
    if (nodes.length > 0) this.#root = nodes[0]!;
  }

  /** The words of a leaf's chunk, and where in them its keys begin: for the loops that walk a range. */
  leafWords(leaf: number): Int32Array {
    return this.#leafWords(leaf);
  }

  leafStart(leaf: number): number {
    return this.#leafAt(leaf) + LEAF_HEAD;
  }

  leafCount(leaf: number): number {
    return this.#leafWords(leaf)[this.#leafAt(leaf)]!;
  }

  nextLeaf(leaf: number): number {
    return this.#leafWords(leaf)[this.#leafAt(leaf) + 1]!;
  }

  /**
   * After seek(): that `count` keys of the leaf the path leads to have died; then nextOnPath() leads to the leaf behind it. So a
   * range delete counts once per leaf instead of descending once per key.
   */
  addAliveOnPath(by: number): void {
    this.#addAlive(by);
  }

  /** Moves the path to the next leaf and returns it, or NO_LEAF. */
  nextOnPath(): number {
    this.#lastLeaf = NO_LEAF;
    let level = 1;
    while (level <= this.#height) {
      const node = this.#pathNode[level]!;
      const words = this.#innerWords(node);
      const at = this.#innerAt(node);
      const index = this.#pathIndex[level]! + 1;
      if (index < words[at]!) {
        this.#pathIndex[level] = index;
        return this.#firstLeafBelow(words[at + CHILDREN + index]!, level - 1);
      }
      level++;
    }
    return NO_LEAF;
  }

  #firstLeafBelow(from: number, height: number): number {
    let node = from;
    for (let level = height; level > 0; level--) {
      this.#pathNode[level] = node;
      this.#pathIndex[level] = 0;
      node = this.#innerWords(node)[this.#innerAt(node) + CHILDREN]!;
    }
    return node;
  }

  #settle(leaf: number, index: number): void {
    this.leaf = leaf;
    this.index = index;
    if (index < this.leafCount(leaf)) return;
    this.index = 0;
    this.leaf = this.#height === 0 ? NO_LEAF : this.nextOnPath();
  }

  #leafWords(leaf: number): Int32Array {
    return this.#leaves.chunks[leaf >>> this.#leaves.bits]!;
  }

  #leafAt(leaf: number): number {
    return (leaf & this.#leaves.mask) * LEAF_WORDS;
  }

  #innerWords(node: number): Int32Array {
    return this.#inners.chunks[node >>> this.#inners.bits]!;
  }

  #innerAt(node: number): number {
    return (node & this.#inners.mask) * INNER_WORDS;
  }

  #newLeaf(): number {
    const leaf = this.#leaves.allocate();
    const words = this.#leafWords(leaf);
    const at = this.#leafAt(leaf);
    words[at] = 0;
    words[at + 1] = NO_LEAF;
    words[at + COMMON] = 0;
    return leaf;
  }

  /** Leads the path to the leaf where the probe belongs. */
  #descend(): number {
    this.#lastLeaf = NO_LEAF;
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const words = this.#innerWords(node);
      const at = this.#innerAt(node);
      const child = this.#childOf(words, at);
      this.#pathNode[level] = node;
      this.#pathIndex[level] = child;
      node = words[at + CHILDREN + child]!;
    }
    return node;
  }

  /** Whether the probe belongs between the leaf's first key and that of the leaf behind it. */
  #encloses(leaf: number): boolean {
    if (this.leafCount(leaf) === 0) return false;
    if (this.#arena.compareProbe(this.#leafWords(leaf)[this.leafStart(leaf)]!) < 0) return false;
    const next = this.nextLeaf(leaf);
    if (next === NO_LEAF) return true;
    if (this.leafCount(next) === 0) return false;
    return this.#arena.compareProbe(this.#leafWords(next)[this.leafStart(next)]!) < 0;
  }

  /** The last child whose separator is not above the probe. */
  #childOf(words: Int32Array, at: number): number {
    let low = 1;
    let high = words[at]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#arena.compareProbe(words[at + SEPARATORS + middle]!) >= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The index of the first key of the leaf that is not below the probe. */
  #lowerBound(leaf: number): number {
    const words = this.#leafWords(leaf);
    const first = this.#leafAt(leaf) + LEAF_HEAD;
    const count = words[first - LEAF_HEAD]!;
    const common = words[first - LEAF_HEAD + COMMON]!;
    if (count === 0) return 0;
    // The leaf's first key was its separator in the node above, so it was looked at just before.
    if (!this.#arena.sharesWords(words[first]!, common))
      return this.#lowerBoundByKeys(words, first, 0, count);
    const head = this.#arena.probeOrderedWord(common);
    let low = first + HEADS;
    let high = low + count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[middle]! < head) low = middle + 1;
      else high = middle;
    }
    const from = low - first - HEADS;
    let to = from;
    while (to < count && words[first + HEADS + to] === head) to++;
    return this.#lowerBoundByKeys(words, first, from, to);
  }

  #lowerBoundByKeys(words: Int32Array, first: number, from: number, to: number): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#arena.compareProbe(words[first + middle]!) > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Puts the probe's key at `index` of a leaf that has room. */
  #insertKey(leaf: number, index: number, id: KeyId): void {
    const words = this.#leafWords(leaf);
    const at = this.#leafAt(leaf);
    const first = at + LEAF_HEAD;
    const count = words[at]!;
    const shares = count > 0 && this.#arena.sharesWords(words[first]!, words[at + COMMON]!);
    // A loop: copyWithin costs a call into the engine, more than moving half a leaf.
    for (let i = first + count; i > first + index; i--) {
      words[i] = words[i - 1]!;
      words[i + HEADS] = words[i + HEADS - 1]!;
    }
    words[first + index] = id;
    words[at] = count + 1;
    if (shares) words[first + index + HEADS] = this.#arena.probeOrderedWord(words[at + COMMON]!);
    else this.#setHeads(leaf);
  }

  /** What the first and the last key have in common, all between them have. */
  #commonWords(words: Int32Array, at: number): number {
    return this.#arena.commonWords(words[at + LEAF_HEAD]!, words[at + LEAF_HEAD + words[at]! - 1]!);
  }

  #setHeads(leaf: number): void {
    const words = this.#leafWords(leaf);
    const at = this.#leafAt(leaf);
    const count = words[at]!;
    if (count === 0) return;
    const common = this.#commonWords(words, at);
    words[at + COMMON] = common;
    for (let i = at + LEAF_HEAD; i < at + LEAF_HEAD + count; i++) {
      words[i + HEADS] = this.#arena.orderedWord(words[i]!, common);
    }
  }

  #addAlive(by: number): void {
    this.#alive += by;
    for (let level = this.#height; level > 0; level--) {
      const node = this.#pathNode[level]!;
      this.#innerWords(node)[this.#innerAt(node) + COUNTS + this.#pathIndex[level]!]! += by;
    }
  }

  #aliveInLeaf(leaf: number): number {
    const words = this.#leafWords(leaf);
    const at = this.#leafAt(leaf);
    let alive = 0;
    for (let i = at + LEAF_HEAD; i < at + LEAF_HEAD + words[at]!; i++)
      if (this.#arena.isAlive(words[i]!)) alive++;
    return alive;
  }

  #splitLeaf(leaf: number, index: number, id: KeyId): void {
    const right = this.#newLeaf();
    const leftWords = this.#leafWords(leaf);
    const rightWords = this.#leafWords(right);
    const left = this.#leafAt(leaf);
    const to = this.#leafAt(right);
    // Keys that arrive in order leave full leaves behind.
    const keep = index === LEAF_KEYS && leftWords[left + 1] === NO_LEAF ? LEAF_KEYS : LEAF_KEYS >>> 1;
    rightWords[to + 1] = leftWords[left + 1]!;
    leftWords[left + 1] = right;
    const moved = LEAF_KEYS - keep;
    for (let i = 0; i < moved; i++) {
      rightWords[to + LEAF_HEAD + i] = leftWords[left + LEAF_HEAD + keep + i]!;
      rightWords[to + LEAF_HEAD + HEADS + i] = leftWords[left + LEAF_HEAD + HEADS + keep + i]!;
    }
    leftWords[left] = keep;
    rightWords[to] = moved;
    rightWords[to + COMMON] = leftWords[left + COMMON]!;
    if (index > keep || keep === LEAF_KEYS) this.#insertKey(right, index - keep, id);
    else this.#insertKey(leaf, index, id);
    // Fewer keys may have more in common; the heads are only made anew when they tell more then.
    if (this.#commonWords(leftWords, left) > leftWords[left + COMMON]!) this.#setHeads(leaf);
    if (this.#commonWords(rightWords, to) > rightWords[to + COMMON]!) this.#setHeads(right);
    this.#addChild(1, right, rightWords[to + LEAF_HEAD]!, leaf, this.#aliveInLeaf(right));
  }

  /** Puts `child` behind the child on the path at `level`, from which `alive` alive keys moved to it. */
  #addChild(level: number, child: number, separator: KeyId, left: number, alive: number): void {
    if (level > this.#height) {
      this.#growRoot(left, child, separator, alive);
      return;
    }
    const node = this.#pathNode[level]!;
    const words = this.#innerWords(node);
    const at = this.#innerAt(node);
    const index = this.#pathIndex[level]!;
    words[at + COUNTS + index]! -= alive;
    if (words[at]! < FANOUT) {
      this.#insertChild(words, at, index + 1, child, separator, alive);
      return;
    }
    const right = this.#inners.allocate();
    const rightWords = this.#innerWords(right);
    const to = this.#innerAt(right);
    const keep = FANOUT >>> 1;
    const promoted = words[at + SEPARATORS + keep]!;
    this.#copyChildren(words, at, keep, rightWords, to, 0, FANOUT - keep);
    rightWords[to] = FANOUT - keep;
    words[at] = keep;
    if (index + 1 <= keep) this.#insertChild(words, at, index + 1, child, separator, alive);
    else this.#insertChild(rightWords, to, index + 1 - keep, child, separator, alive);
    this.#addChild(level + 1, right, promoted, node, this.#aliveInInner(right));
  }

  #growRoot(left: number, right: number, separator: KeyId, alive: number): void {
    const root = this.#inners.allocate();
    const words = this.#innerWords(root);
    const at = this.#innerAt(root);
    words[at] = 2;
    words[at + CHILDREN] = left;
    words[at + CHILDREN + 1] = right;
    words[at + SEPARATORS + 1] = separator;
    words[at + COUNTS] = this.#alive - alive;
    words[at + COUNTS + 1] = alive;
    this.#root = root;
    this.#height++;
    assert(this.#height < HEIGHT_MAX, "the tree stays low");
  }

  #insertChild(
    words: Int32Array,
    at: number,
    index: number,
    child: number,
    separator: KeyId,
    alive: number,
  ): void {
    this.#copyChildren(words, at, index, words, at, index + 1, words[at]! - index);
    words[at + CHILDREN + index] = child;
    words[at + SEPARATORS + index] = separator;
    words[at + COUNTS + index] = alive;
    words[at]!++;
  }

  #removeChild(words: Int32Array, at: number, index: number): void {
    this.#copyChildren(words, at, index + 1, words, at, index, words[at]! - index - 1);
    words[at]!--;
  }

  #copyChildren(
    from: Int32Array,
    fromAt: number,
    fromIndex: number,
    to: Int32Array,
    toAt: number,
    toIndex: number,
    count: number,
  ): void {
    for (let column = CHILDREN; column < INNER_WORDS; column += FANOUT) {
      const source = fromAt + column + fromIndex;
      const target = toAt + column + toIndex;
      if (from === to) from.copyWithin(target, source, source + count);
      else for (let i = 0; i < count; i++) to[target + i] = from[source + i]!;
    }
  }

  #aliveInInner(node: number): number {
    const words = this.#innerWords(node);
    const at = this.#innerAt(node);
    let alive = 0;
    for (let i = at + COUNTS; i < at + COUNTS + words[at]!; i++) alive += words[i]!;
    return alive;
  }

  /** The smallest key below the path's node at `level` − 1 changed. */
  #setMinimum(level: number, minimum: KeyId): void {
    for (let above = level; above <= this.#height; above++) {
      const index = this.#pathIndex[above]!;
      if (index === 0) continue;
      const node = this.#pathNode[above]!;
      this.#innerWords(node)[this.#innerAt(node) + SEPARATORS + index] = minimum;
      return;
    }
  }

  /** The leaf on the path holds too few keys: it joins a neighbour, or takes some of its keys. */
  #mendLeaf(): void {
    const parent = this.#pathNode[1]!;
    const words = this.#innerWords(parent);
    const at = this.#innerAt(parent);
    const index = this.#pathIndex[1]!;
    const first = index + 1 < words[at]! ? index : index - 1;
    const left = words[at + CHILDREN + first]!;
    const right = words[at + CHILDREN + first + 1]!;
    const leftWords = this.#leafWords(left);
    const rightWords = this.#leafWords(right);
    const leftAt = this.#leafAt(left) + LEAF_HEAD;
    const rightAt = this.#leafAt(right) + LEAF_HEAD;
    const leftCount = leftWords[leftAt - LEAF_HEAD]!;
    const rightCount = rightWords[rightAt - LEAF_HEAD]!;
    const total = leftCount + rightCount;
    if (total <= (LEAF_KEYS * 3) >>> 2) {
      for (let i = 0; i < rightCount; i++) leftWords[leftAt + leftCount + i] = rightWords[rightAt + i]!;
      leftWords[leftAt - LEAF_HEAD] = total;
      leftWords[leftAt - LEAF_HEAD + 1] = rightWords[rightAt - LEAF_HEAD + 1]!;
      words[at + COUNTS + first]! += words[at + COUNTS + first + 1]!;
      if (leftCount === 0) this.#mendEmptied(words, at, first, leftWords[leftAt]!);
      this.#removeChild(words, at, first + 1);
      this.#leaves.release(right);
      this.#setHeads(left);
      this.#mendInner(1);
      return;
    }
    const half = total >>> 1;
    if (leftCount < half) {
      const moved = half - leftCount;
      for (let i = 0; i < moved; i++) leftWords[leftAt + leftCount + i] = rightWords[rightAt + i]!;
      rightWords.copyWithin(rightAt, rightAt + moved, rightAt + rightCount);
    } else {
      const moved = leftCount - half;
      rightWords.copyWithin(rightAt + moved, rightAt, rightAt + rightCount);
      for (let i = 0; i < moved; i++) rightWords[rightAt + i] = leftWords[leftAt + half + i]!;
    }
    leftWords[leftAt - LEAF_HEAD] = half;
    rightWords[rightAt - LEAF_HEAD] = total - half;
    this.#setHeads(left);
    this.#setHeads(right);
    words[at + SEPARATORS + first + 1] = rightWords[rightAt]!;
    if (leftCount === 0) this.#mendEmptied(words, at, first, leftWords[leftAt]!);
    const alive = words[at + COUNTS + first]! + words[at + COUNTS + first + 1]!;
    words[at + COUNTS + first] = this.#aliveInLeaf(left);
    words[at + COUNTS + first + 1] = alive - words[at + COUNTS + first]!;
  }

  /** The leaf at child `first` of the node above had lost its last key and has a smallest key again. */
  #mendEmptied(words: Int32Array, at: number, first: number, minimum: KeyId): void {
    if (first > 0) words[at + SEPARATORS + first] = minimum;
    else this.#setMinimum(2, minimum);
  }

  /** The inner node on the path at `level` lost a child. */
  #mendInner(level: number): void {
    const node = this.#pathNode[level]!;
    const words = this.#innerWords(node);
    const at = this.#innerAt(node);
    if (level === this.#height) {
      if (words[at]! > 1) return;
      this.#root = words[at + CHILDREN]!;
      this.#inners.release(node);
      this.#height--;
      return;
    }
    if (words[at]! >= FANOUT >>> 2) return;
    const parent = this.#pathNode[level + 1]!;
    const parentWords = this.#innerWords(parent);
    const parentAt = this.#innerAt(parent);
    const index = this.#pathIndex[level + 1]!;
    const first = index + 1 < parentWords[parentAt]! ? index : index - 1;
    this.#joinOrShare(parentWords, parentAt, first);
    if (parentWords[parentAt + CHILDREN + first + 1] === NO_LEAF) {
      this.#removeChild(parentWords, parentAt, first + 1);
      this.#mendInner(level + 1);
    }
  }

  /** Joins children `first` and `first` + 1 (the latter is then marked NO_LEAF) or shares their children evenly. */
  #joinOrShare(parentWords: Int32Array, parentAt: number, first: number): void {
    const left = parentWords[parentAt + CHILDREN + first]!;
    const right = parentWords[parentAt + CHILDREN + first + 1]!;
    const leftWords = this.#innerWords(left);
    const rightWords = this.#innerWords(right);
    const leftAt = this.#innerAt(left);
    const rightAt = this.#innerAt(right);
    const leftCount = leftWords[leftAt]!;
    const rightCount = rightWords[rightAt]!;
    const total = leftCount + rightCount;
    const alive = parentWords[parentAt + COUNTS + first]! + parentWords[parentAt + COUNTS + first + 1]!;
    // The separator between the two came down from the parent; separator 0 of the right one was never kept.
    rightWords[rightAt + SEPARATORS] = parentWords[parentAt + SEPARATORS + first + 1]!;
    if (total <= (FANOUT * 3) >>> 2) {
      this.#copyChildren(rightWords, rightAt, 0, leftWords, leftAt, leftCount, rightCount);
      leftWords[leftAt] = total;
      parentWords[parentAt + COUNTS + first] = alive;
      parentWords[parentAt + CHILDREN + first + 1] = NO_LEAF;
      this.#inners.release(right);
      return;
    }
    const half = total >>> 1;
    if (leftCount < half) {
      const moved = half - leftCount;
      this.#copyChildren(rightWords, rightAt, 0, leftWords, leftAt, leftCount, moved);
      this.#copyChildren(rightWords, rightAt, moved, rightWords, rightAt, 0, rightCount - moved);
    } else {
      const moved = leftCount - half;
      this.#copyChildren(rightWords, rightAt, 0, rightWords, rightAt, moved, rightCount);
      this.#copyChildren(leftWords, leftAt, half, rightWords, rightAt, 0, moved);
    }
    leftWords[leftAt] = half;
    rightWords[rightAt] = total - half;
    parentWords[parentAt + SEPARATORS + first + 1] = rightWords[rightAt + SEPARATORS]!;
    parentWords[parentAt + COUNTS + first] = this.#aliveInInner(left);
    parentWords[parentAt + COUNTS + first + 1] = alive - parentWords[parentAt + COUNTS + first]!;
  }
}
