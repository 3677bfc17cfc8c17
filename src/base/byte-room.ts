// Bytes to be written, with a view of the same bytes for whole words: eight bytes in one store instead of eight. Whoever fills long
// stretches (backups) makes one for the stretch and hands it on. Places count from the room's own start.
export class ByteRoom {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}
