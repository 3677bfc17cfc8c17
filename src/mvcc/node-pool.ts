// Fixed-size nodes of words in chunks of typed arrays, for the key tree: node number → chunk and place. Freed nodes are used
// again; the chunks themselves stay.

export class NodePool {
  readonly chunks: Int32Array[] = [];
  readonly bits: number;
  readonly mask: number;
  readonly stride: number;
  readonly #free: number[] = [];
  #count = 0;

  /** `1 << bits` nodes of `stride` words in each chunk. */
  constructor(stride: number, bits: number) {
    this.stride = stride;
    this.bits = bits;
    this.mask = (1 << bits) - 1;
  }

  get memoryBytes(): number {
    return this.chunks.length * this.stride * (1 << this.bits) * 4;
  }

  allocate(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const node = this.#count++;
    if (node >>> this.bits === this.chunks.length) this.chunks.push(new Int32Array(this.stride << this.bits));
    return node;
  }

  release(node: number): void {
    this.#free.push(node);
  }
}
