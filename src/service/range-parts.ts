// What the ways of answering a range share: the request in hand, and the fields behind the keys.
import type { Revision } from "../base/brand.ts";
import type { Member } from "../member/member.ts";
import type { RangeRequest } from "../wire/generated/etcdserverpb.ts";
import { sizeInt64Number, writeInt64Number } from "../wire/writer.ts";
import type { ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import type { Stretches } from "./stretches.ts";

/** What all replies of a member share. */
export type Ranges = {
  readonly member: Member;
  readonly headers: Headers;
  readonly stretches: Stretches;
};

/** One reply in the making. */
export type Reply = Ranges & {
  readonly call: ServerCall;
  readonly request: RangeRequest;
  readonly at: Revision;
};

/** Bytes of `more` and `count` (fields 3 and 4). */
export function rangeTailSize(more: boolean, count: number): number {
  return (more ? 2 : 0) + (count > 0 ? 1 + sizeInt64Number(count) : 0);
}

export function writeRangeTail(more: boolean, count: number, out: Uint8Array, at: number): number {
  if (more) {
    out[at++] = 0x18;
    out[at++] = 1;
  }
  if (count > 0) {
    out[at++] = 0x20;
    at = writeInt64Number(count, out, at);
  }
  return at;
}
