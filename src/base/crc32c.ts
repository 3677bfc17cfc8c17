// CRC-32C (Castagnoli), which etcd's WAL, snapshots, HashKV and backend hash are made with. Pure; sixteen bytes per step.
// Chains as Go's crc32.Update: crc32c(b, crc32c(a)) is the checksum of a followed by b.

const POLYNOMIAL = 0x82f63b78;
const STEP_BYTES = 16;
/** Shorter inputs (revision keys, headers) go byte by byte: the setup of the wide loop would cost more. */
const WIDE_BYTES_MIN = 32;

/** TABLES[256 * k + b]: what byte b contributes when k more bytes follow it. */
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(256 * STEP_BYTES);
  for (let b = 0; b < 256; b++) {
    let crc = b;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    tables[b] = crc;
  }
  for (let k = 1; k < STEP_BYTES; k++) {
    for (let b = 0; b < 256; b++) {
      const before = tables[256 * (k - 1) + b]!;
      tables[256 * k + b] = (before >>> 8) ^ tables[before & 0xff]!;
    }
  }
  return tables;
}

/** The checksum of all bytes, unsigned. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return crc32cRange(bytes, 0, bytes.length, seed);
}

/** The checksum of bytes[start, end), unsigned: spares a subarray per record. */
export function crc32cRange(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  const t = TABLES;
  let crc = ~seed;
  let i = start;
  if (end - start >= WIDE_BYTES_MIN) {
    for (const wideEnd = end - STEP_BYTES; i <= wideEnd; i += STEP_BYTES) {
      crc =
        t[3840 + ((crc ^ bytes[i]!) & 0xff)]! ^
        t[3584 + (((crc >>> 8) ^ bytes[i + 1]!) & 0xff)]! ^
        t[3328 + (((crc >>> 16) ^ bytes[i + 2]!) & 0xff)]! ^
        t[3072 + ((crc >>> 24) ^ bytes[i + 3]!)]! ^
        t[2816 + bytes[i + 4]!]! ^
        t[2560 + bytes[i + 5]!]! ^
        t[2304 + bytes[i + 6]!]! ^
        t[2048 + bytes[i + 7]!]! ^
        t[1792 + bytes[i + 8]!]! ^
        t[1536 + bytes[i + 9]!]! ^
        t[1280 + bytes[i + 10]!]! ^
        t[1024 + bytes[i + 11]!]! ^
        t[768 + bytes[i + 12]!]! ^
        t[512 + bytes[i + 13]!]! ^
        t[256 + bytes[i + 14]!]! ^
        t[bytes[i + 15]!]!;
    }
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ t[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
