// An image whose chunks come from elsewhere, written as they come, before anybody knows whether it will be used. The disk works beside the
// caller. It counts only once a manifest names it (Checkpointer.write).
import { must } from "../base/assert.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
import { Behind } from "./behind.ts";
import type { CheckpointMeta, WrittenImage } from "./contract.ts";
import { ImageWriter } from "./image.ts";
import { filePath } from "./paths.ts";
import { SpareBuffers } from "./spare-buffers.ts";

/** Chunks, each about half a mebibyte, that may wait for the disk. */
const CHUNKS_MAX = 8;

export type ImageDraftOptions = {
  readonly directory: string;
  readonly disk: Disk;
  readonly digest: Digest;
  readonly number: number;
};

export class ImageDraft {
  readonly #options: ImageDraftOptions;
  readonly #pieces = new Behind(CHUNKS_MAX);
  readonly #buffers = new SpareBuffers();
  #file: DiskFile | undefined;
  #writer: ImageWriter | undefined;

  constructor(options: ImageDraftOptions) {
    this.#options = options;
  }

  /** First. */
  begin(meta: CheckpointMeta): void {
    const { directory, disk, digest, number } = this.#options;
    this.#pieces.add(async () => {
      this.#file = await disk.open(filePath(directory, number, "image"), "create");
      this.#writer = new ImageWriter(this.#file, number, digest);
      await this.#writer.begin(meta);
    });
  }

  /** Copies the chunk; never waits. Call `drain` now and then. */
  add(chunk: Uint8Array): void {
    const copy = this.#buffers.copyOf(chunk);
    this.#pieces.add(async () => {
      await must(this.#writer, "the image was begun").add(copy);
      this.#buffers.giveBack(copy);
    });
  }

  /** Waits while too much is behind. */
  async drain(): Promise<void> {
    await this.#pieces.room();
    this.#check();
  }

  /** Everything is safe when it returns, the name too. */
  async finish(): Promise<WrittenImage> {
    let bytes = 0;
    this.#pieces.add(async () => {
      bytes = await must(this.#writer, "the image was begun").end();
    });
    await this.#pieces.settled();
    this.#check();
    await this.#file?.close();
    await this.#options.disk.syncDirectory(this.#options.directory);
    return { number: this.#options.number, bytes };
  }

  /** Removes what was written: after a failure, or when nobody wants it. */
  async discard(): Promise<void> {
    await this.#pieces.settled();
    if (this.#file === undefined) return;
    await this.#file.close();
    await this.#options.disk.remove(this.#file.path);
  }

  #check(): void {
    if (this.#pieces.failure !== undefined) throw this.#pieces.failure.error;
  }
}
