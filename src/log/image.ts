// Index images: the checkpoint of everything that is not a value. Head and small tables first, then the chunks that mvcc makes of its
// index, then an end record that counts them. Written piece by piece beside running traffic; read once, at start.
import { concatBytes, copyBytes } from "../base/bytes.ts";
import { Duty } from "../base/duty.ts";
import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
import type { CheckpointMeta, ImageSource } from "./contract.ts";
import { CorruptionError } from "./errors.ts";
import { readHeader } from "./footer.ts";
import {
  END_BYTE,
  encodeHeader,
  FRAME_BYTES,
  frameLength,
  getU32,
  getU64,
  HEADER_BYTES,
  IMAGE_MAGIC,
  ImageKind,
  placeSeed,
  putFrame,
  putU32,
  putU64,
} from "./format.ts";

const HEAD_BYTES = 20;
const END_BYTES = 8;
/** Of a busy thread, for making the chunks. */
const SHARE = 0.25;

export type ImageHead = CheckpointMeta & {
  readonly path: string;
  readonly number: number;
  readonly chunksAt: number;
};

/** Frames `body` for its place; `crc32` runs over it once. */
function frame(kind: number, body: Uint8Array, number: number, offset: number, digest: Digest): Uint8Array[] {
  const head = new Uint8Array(FRAME_BYTES);
  const seed = placeSeed(number, offset);
  const end = Uint8Array.of(END_BYTE);
  putFrame(head, 0, seed, body.length + 1, HEADER_BYTES, kind);
  putU32(head, 0, digest.crc32(end, digest.crc32(body, digest.crc32(head.subarray(4), seed))));
  return [head, body, end];
}

/** Writes an image piece by piece. One call at a time. */
export class ImageWriter {
  readonly #file: DiskFile;
  readonly #number: number;
  readonly #digest: Digest;
  #offset = HEADER_BYTES;
  #chunks = 0;

  constructor(file: DiskFile, number: number, digest: Digest) {
    this.#file = file;
    this.#number = number;
    this.#digest = digest;
  }

  /** First. */
  async begin({ appliedIndex, appliedTerm, confState, tables }: CheckpointMeta): Promise<void> {
    const header = encodeHeader(
      { magic: IMAGE_MAGIC, file: this.#number, allocatedBytes: 0 },
      this.#digest.crc32,
    );
    await this.#file.write([header], 0);
    const head = new Uint8Array(HEAD_BYTES);
    putU64(head, 0, appliedIndex);
    putU64(head, 8, appliedTerm);
    putU32(head, 16, confState.length);
    await this.#write(ImageKind.Head, concatBytes([head, confState]));
    await this.#write(ImageKind.Tables, tables);
  }

  /** `chunk` must not change until this resolves. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#chunks++;
    await this.#write(ImageKind.Chunk, chunk);
  }

  /** Flushes what was written, and returns its size. */
  async end(): Promise<number> {
    const end = new Uint8Array(END_BYTES);
    putU64(end, 0, this.#chunks);
    await this.#write(ImageKind.End, end);
    await this.#file.sync();
    return this.#offset;
  }

  async #write(kind: number, body: Uint8Array): Promise<void> {
    const at = this.#offset;
    this.#offset += FRAME_BYTES + body.length + 1;
    await this.#file.write(frame(kind, body, this.#number, at, this.#digest), at);
  }
}

/** Writes and flushes an image, beside whatever else is to be done; returns its size. */
export async function writeImage(
  file: DiskFile,
  number: number,
  meta: CheckpointMeta,
  image: ImageSource,
  { digest, clock }: { readonly digest: Digest; readonly clock: Clock },
): Promise<number> {
  const writer = new ImageWriter(file, number, digest);
  await writer.begin(meta);
  const duty = new Duty(SHARE);
  for (;;) {
    const began = clock.now();
    const chunk = image.next();
    if (chunk === undefined) break;
    const written = writer.add(chunk);
    const ended = clock.now();
    duty.worked(ended - began, ended);
    await written;
    while (!duty.isDue(clock.now())) await clock.yield();
  }
  return await writer.end();
}

/** Reads records one after the other; each read takes the next frame along. */
class ImageReader {
  readonly #file: DiskFile;
  readonly #number: number;
  readonly #digest: Digest;
  #frame: Uint8Array = new Uint8Array(FRAME_BYTES);
  #have = false;
  #bytes = new Uint8Array(64 << 10);
  offset: number;

  constructor(file: DiskFile, number: number, digest: Digest, offset: number) {
    this.#file = file;
    this.#number = number;
    this.#digest = digest;
    this.offset = offset;
  }

  /** The body of the next record, which must be of one of two kinds; a view until the next call. */
  async next(kind: number, otherKind: number): Promise<{ kind: number; body: Uint8Array }> {
    if (!this.#have) await this.#file.read(this.#frame, this.offset);
    const seed = placeSeed(this.#number, this.offset);
    const length = frameLength(this.#frame, 0, seed);
    const found = this.#frame[16]!;
    if (length < 1 || (found !== kind && found !== otherKind)) throw this.bad("a record's frame is bad");
    const want = length + FRAME_BYTES;
    if (this.#bytes.length < want) this.#bytes = new Uint8Array(want * 2);
    const read = await this.#file.read(this.#bytes.subarray(0, want), this.offset + FRAME_BYTES);
    if (read < length) throw this.bad("the file ends early");
    const record = this.#bytes.subarray(0, length);
    const crc = this.#digest.crc32(record, this.#digest.crc32(this.#frame.subarray(4), seed));
    if (crc !== getU32(this.#frame, 0)) throw this.bad("the checksum does not match");
    this.#have = read === want;
    if (this.#have) this.#frame = this.#bytes.slice(length, want);
    this.offset += want;
    return { kind: found, body: record.subarray(0, length - 1) };
  }

  bad(reason: string): CorruptionError {
    return new CorruptionError(this.#file.path, this.offset, reason);
  }
}

export async function readImageHead(
  disk: Disk,
  path: string,
  number: number,
  digest: Digest,
): Promise<ImageHead> {
  const file = await disk.open(path, "read");
  try {
    await readHeader(file, IMAGE_MAGIC, number, digest);
    const reader = new ImageReader(file, number, digest, HEADER_BYTES);
    const head = (await reader.next(ImageKind.Head, ImageKind.Head)).body;
    if (head.length < HEAD_BYTES || head.length !== HEAD_BYTES + getU32(head, 16)) {
      throw reader.bad("the head has a wrong length");
    }
    const meta = {
      appliedIndex: getU64(head, 0) as CheckpointMeta["appliedIndex"],
      appliedTerm: getU64(head, 8) as CheckpointMeta["appliedTerm"],
      confState: copyBytes(head.subarray(HEAD_BYTES)),
    };
    const tables = copyBytes((await reader.next(ImageKind.Tables, ImageKind.Tables)).body);
    return { ...meta, tables, path, number, chunksAt: reader.offset };
  } finally {
    await file.close();
  }
}

/** The chunks as they were written, each a view until the next one is asked for. Throws CorruptionError, never yields a bad byte. */
export async function* readImageChunks(
  disk: Disk,
  head: ImageHead,
  digest: Digest,
): AsyncGenerator<Uint8Array> {
  const file = await disk.open(head.path, "read");
  try {
    const reader = new ImageReader(file, head.number, digest, head.chunksAt);
    for (let chunks = 0; ; chunks++) {
      const { kind, body } = await reader.next(ImageKind.Chunk, ImageKind.End);
      if (kind === ImageKind.Chunk) {
        yield body;
        continue;
      }
      if (body.length !== END_BYTES || getU64(body, 0) !== chunks)
        throw reader.bad("the image is not complete");
      return;
    }
  } finally {
    await file.close();
  }
}
