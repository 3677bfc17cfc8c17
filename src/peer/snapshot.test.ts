// Goal: a snapshot arrives byte for byte, at the pace of who takes it, and whatever goes wrong ends in one report and a closed body. Method:
// bodies that count what is asked of them, between two networks on loopback.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { memberId } from "../base/brand.ts";
import type { SnapshotBody } from "../member/network/transport.ts";
import { type Message, MessageType, newSnapshot } from "../raft/message.ts";
import { confState } from "../raft/testing/lone-node.ts";
import { connectedPair, message, TEST_TIMINGS, TestMember } from "./testing/test-member.ts";

const PIECE_BYTES = 64 * 1024;

/** A body whose only memory is two pieces, as the contract allows: each is overwritten when the one after the next is asked for. */
class CountingBody implements SnapshotBody {
  readonly bytesTotal: number;
  asked = 0;
  closed = 0;
  readonly #pieces: number;
  readonly #short: boolean;
  readonly #onPiece: () => void;

  constructor(pieces: number, options: { short?: boolean; onPiece?: () => void } = {}) {
    this.#pieces = pieces;
    this.bytesTotal = pieces * PIECE_BYTES;
    this.#short = options.short === true;
    this.#onPiece = options.onPiece ?? (() => {});
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    const pieces = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];
    for (let i = 0; i < this.#pieces - (this.#short ? 1 : 0); i++) {
      this.asked++;
      const piece = pieces[i % 2]!.fill(i + 1);
      this.#onPiece();
      yield piece;
    }
  }

  close(): void {
    this.closed++;
  }
}

function snapshotTo(from: TestMember, to: TestMember): Message {
  const snapshot = newSnapshot(9, 2, confState([1, 2]), Buffer.from("v2 store"));
  return message(MessageType.MsgSnap, from, to, { snapshot });
}

test("a snapshot arrives byte for byte, and is reported as sent", async () => {
  const [a, b] = await connectedPair();
  const body = new CountingBody(20);
  a.network.transport.sendSnapshot(snapshotTo(a, b), body);
  await a.logged("snapshot report", { id: b.localId, failed: false });
  const got = b.snapshots[0]!;
  assert.equal(got.body.length, body.bytesTotal);
  for (let i = 0; i < 20; i++) {
    const piece = got.body.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES);
    assert.ok(piece.every((byte) => byte === i + 1));
  }
  assert.equal(Buffer.from(got.message.snapshot!.data).toString(), "v2 store");
  assert.deepEqual(got.message.snapshot!.metadata.confState.voters, [1n, 2n]);
  assert.equal(body.closed, 1);
  assert.equal(a.metric(`etcd_network_snapshot_send_success{To="b"}`), "1");
  assert.equal(a.metric(`etcd_network_snapshot_send_inflights_total{To="b"}`), "0");
  await Promise.all([a.close(), b.close()]);
});

test("who takes nothing is sent no more than buffers hold", async () => {
  const [a, b] = await connectedPair();
  let open = (): void => {};
  b.snapshotGate = new Promise((resolve) => {
    open = resolve;
  });
  const body = new CountingBody(600, { onPiece: () => a.event("asked", {}) });
  a.network.transport.sendSnapshot(snapshotTo(a, b), body);
  await a.logged("asked");
  // The kernel's buffers and Node's are full when nothing is asked for in many turns.
  for (let before = -1; body.asked > before; ) {
    before = body.asked;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(body.asked < 400, `${body.asked} of 600 pieces were asked for`);
  open();
  await a.logged("snapshot report", { failed: false });
  assert.equal(b.snapshots[0]!.body.length, body.bytesTotal);
  await Promise.all([a.close(), b.close()]);
});

test("a refusal, an end too early and a member that is gone are failures, each reported once", async () => {
  const [a, b] = await connectedPair();
  const send = async (body: CountingBody, times: number): Promise<void> => {
    a.network.transport.sendSnapshot(snapshotTo(a, b), body);
    await a.logged("snapshot report", { failed: true }, times);
    await a.until(() => body.closed === 1);
  };
  await send(new CountingBody(3, { short: true }), 1);
  assert.equal(b.snapshots.length, 0, "nothing that is cut short is taken");
  b.removed.add(a.localId);
  await send(new CountingBody(200), 2);
  await b.close();
  await send(new CountingBody(3), 3);
  assert.equal(a.metric(`etcd_network_snapshot_send_failures{To="b"}`), "3");
  const unknown = new CountingBody(1);
  a.network.transport.sendSnapshot({ ...snapshotTo(a, b), to: memberId(99n) }, unknown);
  await a.logged("snapshot report", { id: memberId(99n), failed: true });
  assert.equal(unknown.closed, 1);
  await a.close();
});

test("a member that hangs in the middle of a snapshot is given up", async () => {
  const deaf = createServer((socket) => socket.pause());
  await new Promise<void>((resolve) => deaf.listen(0, "127.0.0.1", resolve));
  const { port } = deaf.address() as { port: number };
  const a = await new TestMember(0xan, { timings: { ...TEST_TIMINGS, snapshotStallMillis: 100 } }).start();
  a.network.transport.addPeer(memberId(0xbn), [`http://127.0.0.1:${port}`]);
  const body = new CountingBody(1000);
  a.network.transport.sendSnapshot({ ...snapshotTo(a, a), to: memberId(0xbn) }, body);
  await a.logged("snapshot report", { failed: true });
  assert.ok(body.asked < 1000);
  assert.equal(body.closed, 1);
  await a.close();
  deaf.close();
});

test("a removed peer's snapshot ends without a report", async () => {
  const [a, b] = await connectedPair();
  b.snapshotGate = new Promise(() => {});
  const body = new CountingBody(600, { onPiece: () => a.event("asked", {}) });
  a.network.transport.sendSnapshot(snapshotTo(a, b), body);
  await a.logged("asked");
  a.network.transport.removePeer(b.localId);
  await a.logged("removed remote peer");
  while (body.closed === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(a.count("snapshot report"), 0);
  await Promise.all([a.close(), b.close()]);
});
