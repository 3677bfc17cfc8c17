// Reads a member as a whole: every revision that is kept, and every key as of now. Used after each start, to hold what the disk kept
// against what was seen before, and on damaged copies of a directory.
import { latin1ToBytes } from "../base/bytes.ts";
import {
  createWatchCreateRequest,
  decodeRangeResponse,
  decodeWatchResponse,
  encodeRangeRequest,
  encodeWatchRequest,
} from "../wire/generated/etcdserverpb.ts";
import { rangeRequest } from "./client.ts";
import { type Change, changeOf, rowOf, showRow } from "./history.ts";
import type { Machine } from "./machine.ts";

export type Audit = {
  /** The newest revision when the audit began. */
  readonly revision: number;
  readonly compacted: number;
  /** Every revision above the compacted one, as far as it was there when the audit began. */
  readonly changes: ReadonlyMap<number, readonly Change[]>;
  /** All keys as of the beginning, as text. */
  readonly rows: readonly string[];
};

const PATIENCE_MILLIS = 20_000;

/** Undefined when the member died meanwhile, or does not deliver. */
export async function audit(machine: Machine): Promise<Audit | undefined> {
  if (!machine.up) return undefined;
  const { store } = machine.member;
  const revision = store.currentRevision;
  const compacted = store.compactedRevision;
  const rows = await readRows(machine, revision);
  const changes = rows && machine.up ? await readChanges(machine, compacted + 1, revision) : undefined;
  return rows === undefined || changes === undefined ? undefined : { revision, compacted, changes, rows };
}

async function readRows(machine: Machine, revision: number): Promise<string[] | undefined> {
  const request = rangeRequest("\0", "\0", { serializable: true, revision });
  const message = await new Promise<Uint8Array | undefined>((resolve) => {
    const lost = (): void => resolve(undefined);
    const call = machine.call("/etcdserverpb.KV/Range", encodeRangeRequest(request), lost);
    void call?.ended.then(() => resolve(call.messages[0]));
  });
  return message === undefined ? undefined : decodeRangeResponse(message).kvs.map((kv) => showRow(rowOf(kv)));
}

async function readChanges(
  machine: Machine,
  from: number,
  until: number,
): Promise<Map<number, Change[]> | undefined> {
  const changes = new Map<number, Change[]>();
  // Revision 1 is the empty store.
  if (from > until || until === 1) return changes;
  let dead = false;
  const opened = machine.open("/etcdserverpb.Watch/Watch", {}, () => {
    dead = true;
  });
  if (opened === undefined) return undefined;
  const { call, requests } = opened;
  let seen = 0;
  void call.ended.then(() => {
    dead = true;
  });
  call.onMessage = (message) => {
    for (const event of decodeWatchResponse(message).events) {
      seen = event.kv!.modRevision;
      if (seen > until) return;
      const list = changes.get(seen);
      if (list === undefined) changes.set(seen, [changeOf(event)]);
      else list.push(changeOf(event));
    }
  };
  const all = latin1ToBytes("\0");
  const value = { ...createWatchCreateRequest(), key: all, rangeEnd: all, startRevision: from };
  requests.message(encodeWatchRequest({ requestUnion: { case: "createRequest", value } }));
  const deadline = machine.clock.now() + PATIENCE_MILLIS;
  while (seen < until && !dead && machine.clock.now() < deadline)
    await new Promise<void>((resolve) => machine.clock.after(1 as never, resolve));
  if (!dead) call.cancel();
  return seen < until ? undefined : changes;
}
