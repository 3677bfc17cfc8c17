// Goal: messages reach the other member whole and in order, over whichever way there is, and a member that cannot be reached, reads nothing
// or does not belong to us costs nothing but a report. Method: two real networks on loopback, without raft.
import assert from "node:assert/strict";
import { get } from "node:http";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type ClusterId, memberId } from "../base/brand.ts";
import { MessageType } from "../raft/message.ts";
import { append, connectedPair, message, TEST_TIMINGS, TestMember } from "./testing/test-member.ts";

test("appends take one stream, everything else the other, both in order", async () => {
  const [a, b] = await connectedPair();
  const batch = [append(a, b, 5, "one", "two"), append(a, b, 7, "three"), append(a, b, 8)];
  const beats = [1, 2, 3].map((index) => message(MessageType.MsgHeartbeat, a, b, { index }));
  a.network.transport.send([...batch, ...beats]);
  await b.received(6);
  const ofType = (type: MessageType) => b.messages.filter((one) => one.type === type);
  const entries = ofType(MessageType.MsgApp).flatMap((one) => one.entries);
  assert.deepEqual(
    entries.map((entry) => [entry.index, Buffer.from(entry.data).toString()]),
    [
      [6, "one"],
      [7, "two"],
      [8, "three"],
    ],
  );
  assert.deepEqual(
    ofType(MessageType.MsgHeartbeat).map((one) => one.index),
    [1, 2, 3],
  );
  assert.equal(a.metric(`etcd_network_active_peers{Local="a",Remote="b"}`), "1");
  assert.notEqual(b.metric(`etcd_network_peer_received_bytes_total{From="a"}`), undefined);
  assert.equal(typeof a.network.transport.activeSince(b.localId), "number");
  await Promise.all([a.close(), b.close()]);
});

test("an append bigger than any buffer arrives whole", async () => {
  const [a, b] = await connectedPair();
  const big = "x".repeat(3 * 1024 * 1024);
  a.network.transport.send([append(a, b, 1, big, "small"), append(a, b, 3, big)]);
  await b.received(2);
  assert.equal(b.messages[0]!.entries[0]!.data.length, big.length);
  assert.equal(b.messages[1]!.entries[0]!.data.length, big.length);
  await Promise.all([a.close(), b.close()]);
});

test("while no stream is there, messages go one by one", async () => {
  const a = await new TestMember(0xan).start();
  const b = await new TestMember(0xbn).start();
  // b does not know a: its streams are refused, its pipeline is not.
  a.knows(b);
  const beat = message(MessageType.MsgHeartbeat, a, b);
  a.network.transport.send([beat]);
  await b.received(1);
  assert.equal(b.messages[0]!.type, MessageType.MsgHeartbeat);
  await a.logged("peer became active");
  await Promise.all([a.close(), b.close()]);
});

test("who is not known yet, but has called, is answered where it says it is", async () => {
  const b = await new TestMember(0xbn).start();
  const a = await new TestMember(0xan, { peerUrls: ["http://127.0.0.1:1"] }).start();
  a.knows(b);
  await b.logged("added new remote peer", { "remote-peer-id": "a" });
  await Promise.all([a.close(), b.close()]);
});

test("a member that is gone is reported, and streams come back when it does", async () => {
  const [a, b] = await connectedPair();
  const port = b.network.ports[0]!;
  await b.close();
  await a.logged("peer became inactive (message send to peer failed)");
  assert.equal(a.network.transport.activeSince(b.localId), undefined);
  a.network.transport.send([message(MessageType.MsgHeartbeat, a, b)]);
  await a.logged("unreachable");
  assert.ok(Number(a.metric(`etcd_network_disconnected_peers_total{Local="a",Remote="b"}`)) >= 1);
  const again = await new TestMember(0xbn).start();
  a.network.transport.updatePeer(again.localId, [again.url]);
  again.knows(a);
  await again.connected(a);
  a.network.transport.send([append(a, again, 1, "back")]);
  await again.received(1);
  assert.notEqual(port, 0);
  await Promise.all([a.close(), again.close()]);
});

test("a newer stream takes the place of the older", async () => {
  const [a, b] = await connectedPair();
  const twin = new TestMember(0xbn);
  await twin.start();
  twin.knows(a);
  await a.logged("closed TCP streaming connection with remote peer", {}, 2);
  await Promise.all([a.close(), b.close(), twin.close()]);
});

test("a removed peer hears nothing any more, and nothing is said about it", async () => {
  const [a, b] = await connectedPair();
  a.network.transport.removePeer(b.localId);
  a.network.transport.send([append(a, b, 1, "lost")]);
  assert.equal(a.network.transport.activeSince(b.localId), undefined);
  await b.logged("lost TCP streaming connection with remote peer", {}, 2);
  assert.equal(a.count("unreachable"), 0);
  assert.equal(b.messages.length, 0);
  await Promise.all([a.close(), b.close()]);
});

test("who is told that it was removed says so to its member", async () => {
  const a = await new TestMember(0xan).start();
  const b = await new TestMember(0xbn).start();
  b.removed.add(a.localId);
  a.knows(b);
  await a.logged("onRemoved");
  await b.logged("rejected stream from remote peer because it was removed");
  await Promise.all([a.close(), b.close()]);
});

test("another cluster and an unknown sender are refused with the reason", async () => {
  const stranger = await new TestMember(0xan, { clusterId: 0xdn as ClusterId }).start();
  const b = await new TestMember(0xbn).start();
  stranger.knows(b);
  await stranger.logged("request sent was ignored by remote peer due to cluster ID mismatch");
  await b.logged("request cluster ID mismatch");
  const unknown = await new TestMember(0xen).start();
  unknown.knows(b);
  await b.logged("failed to find remote peer in cluster", { "remote-peer-id-from": "e" });
  await unknown.logged("peer deactivated again", {
    error: "failed to dial b on stream Message (peer b failed to find local node e)",
  });
  await Promise.all([stranger.close(), b.close(), unknown.close()]);
});

test("a version that is too old is refused with the reason", async () => {
  const old = await new TestMember(0xan, { serverVersion: "2.3.8" }).start();
  const b = await new TestMember(0xbn).start();
  old.knows(b);
  await b.logged("failed version compatibility check");
  await old.logged("request sent was ignored by remote peer due to server version incompatibility");
  await Promise.all([old.close(), b.close()]);
});

test("a message for another member is refused, and one from a removed member too", async () => {
  const [a, b] = await connectedPair();
  const astray = { ...message(MessageType.MsgHeartbeat, a, b), to: memberId(0xffn) };
  b.network.transport.addPeer(memberId(0xffn), [a.url]);
  b.network.transport.send([{ ...astray, from: b.localId }]);
  await a.logged("rejected Raft message to mismatch member", { "mismatch-member-id": "ff" });
  b.removed.add(a.localId);
  a.network.transport.send([message(MessageType.MsgHeartbeat, a, b)]);
  await b.logged("rejected Raft message from removed member", { "removed-member-id": "a" });
  assert.equal(a.messages.length + b.messages.length, 0);
  await Promise.all([a.close(), b.close()]);
});

test("probes go both ways, and show in the round trips", async () => {
  const [a, b] = await connectedPair();
  await a.network.client.versions([b.url], 2000);
  const response = await fetch(`${b.url}/raft/probing`);
  const health = (await response.json()) as { OK: boolean; Now: string };
  assert.equal(health.OK, true);
  assert.ok(!Number.isNaN(Date.parse(health.Now)));
  await Promise.all([a.close(), b.close()]);
});

test("members find each other over unix sockets", async () => {
  const [a, b] = await connectedPair({ unix: true });
  a.network.transport.send([append(a, b, 1, "through a file")]);
  await b.received(1);
  await Promise.all([a.close(), b.close()]);
});

test("who calls before there is a member is told to come again", async () => {
  const early = new TestMember(0xan);
  await early.network.listen();
  const answer = await fetch(`${early.url}/members`);
  assert.equal(answer.status, 503);
  await early.close();
});

/** Asks for a's stream to b, and reads nothing of it. */
function deafReader(a: TestMember, kind: "msgapp" | "message"): Promise<Socket> {
  return new Promise((resolve) => {
    const headers = {
      "X-Server-From": "b",
      "X-Server-Version": "3.7.1",
      "X-Min-Cluster-Version": "3.0.0",
      "X-Etcd-Cluster-ID": "c1",
      "X-Raft-To": "a",
    };
    get(`${a.url}/raft/stream/${kind}/b`, { headers, agent: false }, (response) => {
      response.on("error", () => {});
      response.socket.on("error", () => {});
      response.pause();
      response.socket.pause();
      resolve(response.socket);
    });
  });
}

test("a member that reads nothing costs a bounded queue, and then its connection", async () => {
  const timings = { ...TEST_TIMINGS, writeTimeoutMillis: 200 };
  const a = await new TestMember(0xan, { timings }).start();
  const id = memberId(0xbn);
  a.network.transport.addPeer(id, ["http://127.0.0.1:1"]);
  await deafReader(a, "msgapp");
  const b = { localId: id } as TestMember;
  const megabyte = "x".repeat(1024 * 1024);
  let index = 1;
  while (a.count("dropped internal Raft message since sending buffer is full") === 0) {
    a.network.transport.send([append(a, b, index++, megabyte)]);
    assert.ok(index < 80, "no more than the queue's 64 MiB");
  }
  assert.ok(index > 60, `${index} messages of a megabyte`);
  await a.logged("unreachable");
  await a.logged("lost TCP streaming connection with remote peer", {
    "stream-writer-type": "stream MsgApp v2",
  });
  await a.close();
});

test("the number of messages that wait is bounded, too", async () => {
  const a = await new TestMember(0xan).start();
  const id = memberId(0xbn);
  a.network.transport.addPeer(id, ["http://127.0.0.1:1"]);
  await deafReader(a, "message");
  const b = { localId: id } as TestMember;
  const beats = Array.from({ length: 5000 }, () => message(MessageType.MsgHeartbeat, a, b));
  a.network.transport.send(beats);
  assert.equal(a.count("dropped internal Raft message since sending buffer is full"), 5000 - 4096);
  await a.logged("unreachable");
  assert.equal(a.count("unreachable"), 1, "once for all that was dropped in a turn");
  await a.close();
});

for (const [what, header, readTimeoutMillis] of [
  ["for the read timeout", "", 100],
  ["for three of the heartbeats that it promised", "X-Cairn-Heartbeat: 20\r\n", 3_600_000],
] as const)
  test(`a stream that is silent ${what} is dialled again`, async () => {
    const sockets: Socket[] = [];
    let dials = 0;
    const silent = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.once("data", (head) => {
        if (head.includes("/raft/stream/message")) dials++;
        const heads = `X-Server-Version: 3.7.1\r\nTransfer-Encoding: chunked\r\n${header}`;
        socket.write(`HTTP/1.1 200 OK\r\n${heads}\r\n`);
      });
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const a = await new TestMember(0xan, { timings: { ...TEST_TIMINGS, readTimeoutMillis } }).start();
    a.network.transport.addPeer(memberId(0xbn), [`http://127.0.0.1:${port}`]);
    await a.logged(
      "lost TCP streaming connection with remote peer",
      { "stream-reader-type": "stream Message" },
      2,
    );
    assert.ok(dials >= 2);
    await a.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

test("a stream with a frame that is cut short or nonsense is given up, and dialled again", async () => {
  const sockets: Socket[] = [];
  let dials = 0;
  const broken = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", (head) => {
      socket.write("HTTP/1.1 200 OK\r\nX-Server-Version: 3.7.1\r\nTransfer-Encoding: chunked\r\n\r\n");
      if (!head.includes("/raft/stream/msgapp")) return;
      // First half a frame and an end, then a type that nobody knows.
      if (dials++ === 0) socket.end("3\r\n\x02\x00\x00\r\n");
      else socket.write("1\r\n\x07\r\n");
    });
  });
  await new Promise<void>((resolve) => broken.listen(0, "127.0.0.1", resolve));
  const { port } = broken.address() as { port: number };
  const a = await new TestMember(0xan).start();
  a.network.transport.addPeer(memberId(0xbn), [`http://127.0.0.1:${port}`]);
  const lost = (error: string): Promise<void> =>
    a.logged("lost TCP streaming connection with remote peer", {
      "stream-reader-type": "stream MsgApp v2",
      error,
    });
  await lost("unexpected EOF");
  await lost("failed to parse type 7 in msgappv2 stream");
  await a.close();
  for (const socket of sockets) socket.destroy();
  broken.close();
});
