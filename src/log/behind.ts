// The disk works beside whoever fills buffers for it: pieces of work in order, and a bound on how many may wait.

/** Work for the disk, one piece after the other, beside whoever asks for it. After a failure nothing more is begun. */
export class Behind {
  readonly #max: number;
  #pieces = 0;
  #last: Promise<void> = Promise.resolve();
  #onRoom: (() => void) | undefined;
  /** Why a piece failed. */
  failure: { readonly error: unknown } | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  add(piece: () => Promise<void>): void {
    this.#pieces++;
    this.#last = this.#last.then(() => this.#do(piece));
  }

  /** Resolves when fewer pieces wait than may. */
  async room(): Promise<void> {
    while (this.#pieces >= this.#max)
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
  }

  /** Resolves when nothing waits. Never rejects. */
  settled(): Promise<void> {
    return this.#last;
  }

  async #do(piece: () => Promise<void>): Promise<void> {
    try {
      if (this.failure === undefined) await piece();
    } catch (error) {
      this.failure = { error };
    }
    this.#pieces--;
    this.#onRoom?.();
    this.#onRoom = undefined;
  }
}
