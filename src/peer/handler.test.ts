// Goal: every path of the peer port answers with etcd's codes, headers and words, and bodies that are cut short, too long or nonsense get
// an answer, or end their connection, and nothing else. Method: requests by hand, as strangers and members would send them.
import assert from "node:assert/strict";
import { type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { type LeaseId, memberId } from "../base/brand.ts";
import { errors } from "../base/errors.ts";
import { EtcdFault } from "../member/fault.ts";
import { MessageType } from "../raft/message.ts";
import { messageToWire } from "../raft/wire-message.ts";
import { encodeMessage } from "../wire/generated/raftpb.ts";
import { MessageEncoder } from "./message-codec.ts";
import { message, TEST_TIMINGS, TestMember, type TestMemberOptions } from "./testing/test-member.ts";

type Reply = { readonly status: number; readonly headers: IncomingMessage["headers"]; readonly body: string };

function call(
  member: TestMember,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body: Uint8Array | string = "",
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(`${member.url}${path}`, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: text }),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const GOOD = {
  "X-Server-From": "a",
  "X-Server-Version": "3.7.1",
  "X-Min-Cluster-Version": "3.0.0",
  "X-Etcd-Cluster-ID": "c1",
};

async function withMember(
  body: (member: TestMember) => Promise<void>,
  options: TestMemberOptions = {},
): Promise<void> {
  const member = await new TestMember(0xbn, options).start();
  try {
    await body(member);
  } finally {
    await member.close();
  }
}

function checks(reply: Reply, status: number, body: string): void {
  assert.deepEqual([reply.status, reply.body], [status, body]);
}

test("methods that a path does not have are refused, with those that it has", async () => {
  await withMember(async (member) => {
    for (const [method, path, allowed] of [
      ["GET", "/raft", "POST"],
      ["GET", "/raft/snapshot", "POST"],
      ["POST", "/raft/stream/msgapp/a", "GET"],
      ["POST", "/members", "GET"],
      ["GET", "/members/promote/1", "POST"],
      ["POST", "/members/hashkv", "GET"],
      ["POST", "/downgrade/enabled", "GET"],
      ["POST", "/version", "GET"],
      ["GET", "/leases", undefined],
      ["GET", "/leases/internal", undefined],
    ] as const) {
      const reply = await call(member, method, path);
      checks(reply, 405, "Method Not Allowed\n");
      assert.equal(reply.headers.allow, allowed, path);
    }
  });
});

test("unknown paths are not found, and unclean ones are sent to the clean ones", async () => {
  await withMember(async (member) => {
    for (const path of ["/", "/raft/other", "/health", "/metrics", "/members/other", "/leases/x"]) {
      checks(await call(member, "GET", path), 404, "404 page not found\n");
    }
    assert.equal((await call(member, "GET", "//members")).headers.location, "/members");
    assert.equal((await call(member, "GET", "/raft/stream")).headers.location, "/raft/stream/");
  });
});

test("whoever is not of the cluster, or too old or too new, learns why", async () => {
  await withMember(async (member) => {
    const path = "/raft/stream/message/a";
    const refused = async (headers: OutgoingHttpHeaders, text: string): Promise<void> => {
      const reply = await call(member, "GET", path, { ...GOOD, ...headers });
      checks(reply, 412, text);
      assert.equal(reply.headers["x-etcd-cluster-id"], "c1");
      assert.equal(reply.headers["x-server-version"], "3.7.1");
    };
    await refused({ "X-Etcd-Cluster-ID": "c2" }, "cluster ID mismatch\n");
    await refused({ "X-Server-Version": "2.3.0" }, "incompatible version\n");
    await refused({ "X-Server-Version": "no version" }, "incompatible version\n");
    await refused({ "X-Min-Cluster-Version": "3.8.0" }, "incompatible version\n");
    checks(await call(member, "POST", "/raft"), 412, "incompatible version\n");
    const snapshot = await call(member, "POST", "/raft/snapshot", { ...GOOD, "X-Etcd-Cluster-ID": "1" });
    checks(snapshot, 412, "cluster ID mismatch\n");
    const failures = `etcd_network_snapshot_receive_failures{From="UNKNOWN_SNAPSHOT_SENDER"}`;
    assert.equal(member.metric(failures), "1");
  });
});

test("a stream is given to members alone, by their right name and to the right address", async () => {
  await withMember(async (member) => {
    const ask = (path: string, headers: OutgoingHttpHeaders = {}): Promise<Reply> =>
      call(member, "GET", path, { ...GOOD, "X-Raft-To": "b", ...headers });
    checks(await ask("/raft/stream/other/a"), 404, "invalid path\n");
    checks(await ask("/raft/stream/message/xyz"), 404, "invalid from\n");
    checks(await ask("/raft/stream/message/e"), 404, "error sender not found\n");
    member.removed.add(memberId(0xfn));
    checks(await ask("/raft/stream/message/f"), 410, "removed member\n");
    member.network.transport.addPeer(memberId(0xan), ["http://127.0.0.1:1"]);
    checks(await ask("/raft/stream/message/a", { "X-Raft-To": "c" }), 412, "to field mismatch\n");
  });
});

test("a message by itself is taken, or refused with the reason", async () => {
  await withMember(async (member) => {
    const other = { localId: memberId(0xan) } as TestMember;
    const post = (body: Uint8Array | string): Promise<Reply> => call(member, "POST", "/raft", GOOD, body);
    const encoded = (fields: object): Uint8Array =>
      encodeMessage(messageToWire(message(MessageType.MsgHeartbeat, other, member, fields)));
    checks(await post(encoded({})), 204, "");
    assert.equal(member.messages.length, 1);
    checks(await post(Buffer.of(0xff)), 400, "error unmarshalling raft message\n");
    checks(await post(encoded({ to: 5n })), 500, "error processing raft message\n");
    member.removed.add(memberId(0xan));
    checks(await post(encoded({})), 500, "error processing raft message\n");
    assert.equal(member.messages.length, 1);
  });
});

test("a body that stops coming ends its request", async () => {
  const timings = { ...TEST_TIMINGS, readTimeoutMillis: 50 };
  await withMember(
    async (member) => {
      const socket = connect(member.network.ports[0]!, "127.0.0.1");
      const headers = Object.entries(GOOD).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`POST /raft HTTP/1.1\r\nHost: x\r\n${headers.join("")}Content-Length: 100\r\n\r\nhalf`);
      socket.resume();
      await new Promise((resolve) => socket.once("close", resolve));
      await member.logged("failed to read Raft message");
    },
    { timings },
  );
});

test("snapshots: a message of another kind, a cut one, one that is too long and a bad body are refused", async () => {
  await withMember(async (member) => {
    const other = { localId: memberId(0xan) } as TestMember;
    const head = (type: MessageType, fields: object = {}): Buffer => {
      const encoder = new MessageEncoder();
      const one = message(type, other, member, fields);
      const bytes = Buffer.alloc(encoder.size(one));
      encoder.write(one, bytes, 0);
      return bytes;
    };
    const metadata = {
      index: 9,
      term: 2,
      confState: { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
    };
    const snapshot = head(MessageType.MsgSnap, { snapshot: { data: Buffer.from("v2"), metadata } });
    const post = (...parts: (Buffer | string)[]): Promise<Reply> =>
      call(member, "POST", "/raft/snapshot", GOOD, Buffer.concat(parts.map((part) => Buffer.from(part))));
    checks(await post(head(MessageType.MsgApp)), 400, "wrong raft message type\n");
    checks(await post(snapshot.subarray(0, 12)), 400, "failed to decode raft message (unexpected EOF)\n");
    const long = Buffer.from("0000000004000001", "hex");
    checks(await post(long), 400, "failed to decode raft message (rafthttp: error limit exceeded)\n");
    checks(await post(snapshot, "corrupt"), 500, "failed to save KV snapshot (snapshot is corrupt)\n");
    checks(await post(snapshot, "a database"), 204, "");
    assert.equal(member.snapshots[0]!.body.toString(), "a database");
    assert.equal(member.snapshots[0]!.message.snapshot!.metadata.index, 9);
    assert.equal(member.metric(`etcd_network_snapshot_receive_success{From="a"}`), "1");
    assert.equal(member.metric(`etcd_network_snapshot_receive_failures{From="a"}`), "2");
    assert.equal(member.metric(`etcd_network_snapshot_receive_inflights_total{From="a"}`), "0");
    member.removed.add(memberId(0xan));
    const removed = "failed to process raft message (cannot process message from removed member)\n";
    checks(await post(snapshot), 500, removed);
  });
});

test("members, versions and downgrade are told as JSON and text", async () => {
  await withMember(async (member) => {
    member.memberList.push({
      id: memberId(2n ** 63n + 1n),
      name: "n",
      peerUrls: ["http://p"],
      clientUrls: ["http://c"],
      isLearner: true,
    });
    const list = await call(member, "GET", "/members");
    const json = `[{"id":9223372036854775809,"peerURLs":["http://p"],"isLearner":true,"name":"n","clientURLs":["http://c"]}]\n`;
    checks(list, 200, json);
    assert.equal(list.headers["x-etcd-cluster-id"], "c1");
    assert.equal(list.headers["content-type"], "application/json");
    checks(await call(member, "POST", "/members/promote/7"), 200, json);
    checks(
      await call(member, "GET", "/version"),
      200,
      `{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}`,
    );
    member.clusterVersion = undefined;
    member.storageVersion = undefined;
    checks(
      await call(member, "GET", "/version"),
      200,
      `{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}`,
    );
    checks(await call(member, "GET", "/downgrade/enabled"), 200, "false");
    member.downgrade = new EtcdFault(errors.timeout);
    checks(
      await call(member, "GET", "/downgrade/enabled"),
      500,
      "failed linearized read: etcdserver: request timed out\n",
    );
  });
});

test("a promotion fails with the code that its reason has", async () => {
  await withMember(async (member) => {
    const promote = (id: string): Promise<Reply> => call(member, "POST", `/members/promote/${id}`);
    checks(await promote("x1"), 404, "member x1 not found in cluster\n");
    checks(await promote("18446744073709551616"), 404, "member 18446744073709551616 not found in cluster\n");
    for (const [error, status, text] of [
      [errors.memberNotFound, 404, "membership: ID not found\n"],
      [errors.memberNotLearner, 412, "membership: can only promote a learner member\n"],
      [
        errors.learnerNotReady,
        412,
        "etcdserver: can only promote a learner member which is in sync with leader\n",
      ],
      [errors.timeout, 500, `{"message":"Internal Server Error"}`],
    ] as const) {
      member.promotion = new EtcdFault(error);
      checks(await promote("7"), status, text);
    }
  });
});

test("leases: what is no request, what is not there, and who may not say", async () => {
  await withMember(async (member) => {
    const post = (path: string, body: Uint8Array | string): Promise<Reply> =>
      call(member, "POST", path, {}, body);
    for (const path of ["/leases", "/leases/internal"]) {
      checks(await post(path, Buffer.of(0xff)), 400, "error unmarshalling request\n");
      checks(await post(path, Buffer.alloc(64 * 1024 + 1)), 413, "request body too large\n");
      checks(await post(path, ""), 404, "lease not found\n");
      member.lease = new EtcdFault(errors.timeout);
      checks(await post(path, ""), 408, "waiting for node to catch up its applied index has timed out\n");
      member.lease = new EtcdFault(errors.notPrimary);
      checks(await post(path, ""), path === "/leases" ? 400 : 500, "not a primary lessor\n");
      member.lease = { ttl: -1, grantedTtl: 0, keys: [] };
    }
  });
});

test("hashes: what is no request, another cluster, and revisions that are not there", async () => {
  await withMember(async (member) => {
    const ask = (body: string, headers: OutgoingHttpHeaders = {}): Promise<Reply> =>
      call(member, "GET", "/members/hashkv", { "Content-Length": body.length, ...headers }, body);
    checks(await ask("{"), 400, "error unmarshalling request\n");
    checks(await ask("{}", { "X-Etcd-Cluster-ID": "c2" }), 412, "cluster ID mismatch\n");
    checks(await ask(`{"revision":3}`), 400, "mvcc: required revision has been compacted\n");
    member.hash = new EtcdFault(errors.futureRevision);
    checks(await ask(`{"revision":3}`), 400, "mvcc: required revision is a future revision\n");
    const ids = { memberId: member.localId, clusterId: member.clusterId, term: 4 };
    member.hash = { hash: 4_000_000_000, revision: 7, hashRevision: 6, compactRevision: -1, ...ids };
    const told = `{"header":{"revision":7},"hash":4000000000,"compact_revision":-1,"hash_revision":6}`;
    checks(await ask(`{"revision":6}`), 200, told);
  });
});

test("the client has of each answer what it means", async () => {
  await withMember(async (member) => {
    const asker = await new TestMember(0xan).start();
    const { client } = asker.network;
    const urls = ["http://127.0.0.1:1", member.url];
    const fails = (answer: Promise<unknown>, text: string): Promise<void> =>
      assert.rejects(answer, (error) => error instanceof EtcdFault && error.etcdError.message === text);
    try {
      await fails(client.members(urls, 2000), "failed to get raft cluster member(s) from the given URLs");
      member.memberList.push({
        id: memberId(7n),
        name: "",
        peerUrls: ["http://p"],
        clientUrls: [],
        isLearner: false,
      });
      assert.deepEqual(await client.members(urls, 2000), { clusterId: 0xc1n, members: member.memberList });
      assert.deepEqual(await client.versions(urls, 2000), { server: "3.7.1", cluster: "3.7.0" });
      for (const traits of [
        { version: "0.1.0", deviceFull: true, copyFormat: 3 },
        { version: "0.1.0", deviceFull: false, copyFormat: 0 },
      ]) {
        member.traits = traits;
        assert.deepEqual((await client.versions(urls, 2000)).cairn, traits);
      }
      assert.deepEqual(await client.promote(urls, memberId(7n), 2000), member.memberList);
      for (const error of [errors.memberNotFound, errors.memberNotLearner, errors.learnerNotReady]) {
        member.promotion = new EtcdFault(error);
        await fails(client.promote(urls, memberId(7n), 2000), error.message);
      }
      const lease = 12n as LeaseId;
      assert.equal(await client.renewLease(urls, lease, 2000), 0);
      assert.equal((await client.leaseTimeToLive(urls, lease, true, 2000)).ttl, -1);
      member.lease = { ttl: 5, grantedTtl: 9, keys: [Buffer.from("k")] };
      assert.equal(await client.renewLease(urls, lease, 2000), 5);
      const alive = await client.leaseTimeToLive(urls, lease, true, 2000);
      assert.deepEqual([alive.ttl, alive.grantedTtl, alive.keys.map(String)], [5, 9, ["107"]]);
      member.lease = new EtcdFault(errors.notPrimary);
      await fails(client.renewLease(urls, lease, 2000), "lease: unknown error(not a primary lessor\n)");
      await fails(client.hashKv(urls, 3, 2000), errors.compacted.message);
      const ids = { memberId: memberId(0n), clusterId: member.clusterId, term: 0 };
      member.hash = { hash: 4_000_000_000, revision: 7, hashRevision: 6, compactRevision: -1, ...ids };
      assert.deepEqual(await client.hashKv(urls, 6, 2000), member.hash);
      assert.equal(await client.downgradeEnabled(urls, 2000), false);
      await fails(
        client.versions(["http://127.0.0.1:1"], 2000),
        "dial tcp 127.0.0.1:1: connect: connection refused",
      );
      await fails(client.versions([], 2000), "no peer URL to ask");
    } finally {
      await asker.close();
    }
  });
});
