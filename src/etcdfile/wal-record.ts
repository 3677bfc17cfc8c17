// The kinds of records in etcd's write-ahead log, and how a record is framed. Used by the reader and the encoder.

export const RecordType = { Metadata: 1, Entry: 2, State: 3, Crc: 4, Snapshot: 5 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** etcd preallocates segments of this size. */
export const SEGMENT_BYTES: number = 64 * 1000 * 1000;
