// Copies of what a caller has for this turn alone, for a disk that takes its time. Their memory is used again: fresh buffers would hasten the
// collector. Whoever gives a copy back must not look at it any more.

export class SpareBuffers {
  readonly #spare: Uint8Array[] = [];

  copyOf(bytes: Uint8Array): Uint8Array {
    const spare = this.#spare.pop();
    const buffer = spare !== undefined && spare.length >= bytes.length ? spare : new Uint8Array(bytes.length);
    buffer.set(bytes);
    return buffer.subarray(0, bytes.length);
  }

  giveBack(copy: Uint8Array): void {
    this.#spare.push(new Uint8Array(copy.buffer));
  }
}
