// Memory that threads may share, within which stretches are copied by the processor's own means. TypedArray.set needs 250 ns for 256
// bytes at an odd place of shared memory (it goes byte by byte there, as the memory model asks); one instruction of WebAssembly needs 25.
// Backups copy every value of the store this way. Nobody may copy what another thread writes meanwhile.
import { assert } from "./assert.ts";

/** The little that is used of WebAssembly, which the inside has no types of. */
type WebAssemblyLike = {
  readonly Memory: new (limits: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { readonly buffer: SharedArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly copy: Copy } };
};
type Copy = (to: number, from: number, length: number) => void;
declare const WebAssembly: WebAssemblyLike;

const PAGE_BYTES = 1 << 16;

/** (module (import "a" "m" (memory 1 65536 shared)) (func (export "copy") (param i32 i32 i32) local.get 0, 1, 2, memory.copy)) */
// biome-ignore format: one section a line
const PROGRAM = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x07, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00, // type: (i32, i32, i32) -> ()
  0x02, 0x0b, 0x01, 0x01, 0x61, 0x01, 0x6d, 0x02, 0x03, 0x01, 0x80, 0x80, 0x04, // import a.m: shared memory, 1 to 65536 pages
  0x03, 0x02, 0x01, 0x00, // one function of that type
  0x07, 0x08, 0x01, 0x04, 0x63, 0x6f, 0x70, 0x79, 0x00, 0x00, // export: copy
  0x0a, 0x0e, 0x01, 0x0c, 0x00, 0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfc, 0x0a, 0x00, 0x00, 0x0b, // code
);

let program: object | undefined;

export class CopyArea {
  readonly bytes: Uint8Array;
  /** Copies bytes[from, from + length) to `to`; outside the area it throws. */
  readonly copy: Copy;

  /** Zeros. Memory is taken when it is touched, not before. */
  constructor(length: number) {
    try {
      const pages = Math.ceil(length / PAGE_BYTES);
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      program ??= new WebAssembly.Module(PROGRAM);
      this.copy = new WebAssembly.Instance(program, { a: { m: memory } }).exports.copy;
      this.bytes = new Uint8Array(memory.buffer, 0, length);
    } catch {
      // None under --jitless, or its address space is used up (some 10 GiB each): slower, and the same.
      const bytes = new Uint8Array(new SharedArrayBuffer(length));
      this.copy = (to, from, count) => {
        assert(Math.max(to, from) + count <= length && Math.min(to, from) >= 0, "a copy is within its area");
        bytes.copyWithin(to, from, from + count);
      };
      this.bytes = bytes;
    }
  }
}
