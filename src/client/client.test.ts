// Goal: the client keeps clientv3's promises: reads are tried again, writes never twice, watches resume where they were, and
// what fails says so in grpc-go's words. Method: a small gRPC server of node:http2 that misbehaves on demand.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import {
  createPutResponse,
  createRangeResponse,
  createWatchResponse,
  decodeAuthenticateRequest,
  decodeLeaseKeepAliveRequest,
  decodeRangeRequest,
  decodeWatchRequest,
  encodeAuthenticateResponse,
  encodeLeaseKeepAliveResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeWatchResponse,
  type WatchCreateRequest,
  type WatchResponse,
} from "../wire/generated/etcdserverpb.ts";
import { Client } from "./client.ts";
import { RpcError } from "./errors.ts";
import { prefixEnd } from "./keys.ts";
import type { FailedAttempt } from "./rpc.ts";
import type { Watcher } from "./watch.ts";

type Handler = (stream: ServerHttp2Stream, message: Uint8Array, count: number) => void;

let server: Http2Server;
let endpoint = "";
const sessions = new Set<ServerHttp2Session>();
let handlers: Record<string, Handler> = {};
let counts: Record<string, number> = {};
const requestTokens = new WeakMap<ServerHttp2Stream, unknown>();

function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function fail(stream: ServerHttp2Stream, code: number, text: string): void {
  const headers = {
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": code,
    "grpc-message": text,
  };
  if (!stream.headersSent) stream.respond(headers, { endStream: true });
}

function begin(stream: ServerHttp2Stream): void {
  if (stream.headersSent) return;
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
}

function reply(stream: ServerHttp2Stream, message: Uint8Array): void {
  begin(stream);
  stream.end(frame(message));
}

before(async () => {
  server = createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    const path = String(headers[":path"]).split("/").pop()!;
    let held = Buffer.alloc(0);
    requestTokens.set(stream, headers["token"]);
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
        const message = held.subarray(5, 5 + held.readUInt32BE(1));
        held = held.subarray(5 + message.length);
        counts[path] = (counts[path] ?? 0) + 1;
        handlers[path]?.(stream, message, counts[path]);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(() => {
  for (const session of sessions) session.destroy();
  server.close();
});

beforeEach(() => {
  handlers = {};
  counts = {};
});

async function withClient(run: (client: Client, attempts: FailedAttempt[]) => Promise<void>): Promise<void> {
  const attempts: FailedAttempt[] = [];
  const client = new Client({ endpoints: [endpoint], onFailedAttempt: (attempt) => attempts.push(attempt) });
  try {
    await run(client, attempts);
  } finally {
    client.close();
  }
}

const rejectsWith = (code: number, text: string) => (error: unknown) => {
  assert.ok(error instanceof RpcError);
  assert.deepEqual([error.code, error.message], [code, text]);
  return true;
};

test("a read that finds the member unavailable is tried again", async () => {
  handlers["Range"] = (stream, message, count) => {
    assert.equal(Buffer.from(decodeRangeRequest(message).key).toString(), "k");
    if (count < 3) fail(stream, 14, "etcdserver: leader changed");
    else reply(stream, encodeRangeResponse({ ...createRangeResponse(), count: 7 }));
  };
  await withClient(async (client, attempts) => {
    assert.equal((await client.kv.get("k")).count, 7);
    assert.deepEqual(
      attempts.map((each) => each.error.status),
      Array(2).fill("rpc error: code = Unavailable desc = etcdserver: leader changed"),
    );
  });
});

test("a write is sent once, whatever happens to it", async () => {
  handlers["Put"] = (stream) => fail(stream, 14, "etcdserver: request timed out");
  await withClient(async (client) => {
    await assert.rejects(client.kv.put("k", "v"), rejectsWith(14, "etcdserver: request timed out"));
    assert.equal(counts["Put"], 1);
  });
});

test("what a learner may not serve is asked of the next endpoint, if there is one", async () => {
  const learner = "etcdserver: rpc not supported for learner";
  handlers["Put"] = (stream, _, count) => {
    if (count < 4) fail(stream, 9, learner);
    else reply(stream, encodePutResponse(createPutResponse()));
  };
  await withClient(async (client) => {
    await assert.rejects(client.kv.put("k", "v"), rejectsWith(9, learner));
    assert.equal(counts["Put"], 1);
  });
  const client = new Client({ endpoints: [endpoint, endpoint.replace("127.0.0.1", "localhost")] });
  await client.kv.put("k", "v");
  client.close();
  assert.equal(counts["Put"], 4);
});

test("a write whose connection dies is not repeated, and the next one finds a new connection", async () => {
  handlers["Put"] = (stream, _, count) => {
    if (count === 1) stream.session?.destroy();
    else reply(stream, encodePutResponse(createPutResponse()));
  };
  await withClient(async (client) => {
    await assert.rejects(client.kv.put("k", "v"), (error) => error instanceof RpcError && error.code === 14);
    await client.kv.put("k", "v");
    assert.equal(counts["Put"], 2);
  });
});

test("a deadline ends a call that nobody answers", async () => {
  await withClient(async (client) => {
    await assert.rejects(
      client.kv.get("k", { timeoutMillis: 20 }),
      rejectsWith(4, "context deadline exceeded"),
    );
  });
});

test("a signal ends a call", async () => {
  const abort = new AbortController();
  handlers["Range"] = () => abort.abort();
  await withClient(async (client) => {
    await assert.rejects(client.kv.get("k", { signal: abort.signal }), rejectsWith(1, "context canceled"));
  });
});

test("without a connection the deadline tells why there is none", async () => {
  const attempts: FailedAttempt[] = [];
  const client = new Client({
    endpoints: ["127.0.0.1:1"],
    onFailedAttempt: (attempt) => attempts.push(attempt),
  });
  await assert.rejects(
    client.kv.get("k", { timeoutMillis: 100 }),
    rejectsWith(4, "context deadline exceeded"),
  );
  client.close();
  assert.equal(
    attempts[0]!.error.status,
    "rpc error: code = DeadlineExceeded desc = latest balancer error: connection error: " +
      'desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"',
  );
});

test("a unix socket's path that the system cannot hold is said to be the fault", async () => {
  const attempts: FailedAttempt[] = [];
  const path = `/tmp/${"s".repeat(120)}`;
  const client = new Client({
    endpoints: [`unix://${path}`],
    onFailedAttempt: (attempt) => attempts.push(attempt),
  });
  await assert.rejects(client.kv.get("k", { timeoutMillis: 100 }));
  client.close();
  assert.match(attempts[0]!.error.status, new RegExp(`dial unix ${path}: connect: invalid argument`));
});

test("an endpoint that is down is passed over for one that is up", async () => {
  handlers["Range"] = (stream) => reply(stream, encodeRangeResponse(createRangeResponse()));
  const client = new Client({ endpoints: ["127.0.0.1:1", endpoint], timeoutMillis: 5000 });
  await client.kv.get("k");
  client.close();
});

test("messages beyond the limits are refused on both sides", async () => {
  handlers["Range"] = (stream) => reply(stream, new Uint8Array(200));
  const client = new Client({ endpoints: [endpoint], sendBytesMax: 90, receiveBytesMax: 100 });
  const large = "trying to send message larger than max (103 vs. 90)";
  await assert.rejects(
    client.kv.get("k".repeat(101)),
    (error) => error instanceof RpcError && error.description === large,
  );
  const got = "grpc: received message larger than max (200 vs. 100)";
  await assert.rejects(client.kv.get("k"), (error) => error instanceof RpcError && error.description === got);
  client.close();
});

test("a reply that is no message is an error, not a crash", async () => {
  handlers["Range"] = (stream) => reply(stream, Uint8Array.of(0x0a, 0x7f));
  await withClient(async (client) => {
    const text =
      "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data";
    await assert.rejects(
      client.kv.get("k"),
      (error) => error instanceof RpcError && error.description === text,
    );
  });
});

test("a token that has run out is replaced, and the call is made again", async () => {
  const tokens: unknown[] = [];
  handlers["Authenticate"] = (stream, message, count) => {
    const { name, password } = decodeAuthenticateRequest(message);
    assert.deepEqual([name, password], ["root", "pw"]);
    reply(stream, encodeAuthenticateResponse({ header: undefined, token: `token${count}` }));
  };
  handlers["Put"] = (stream, _, count) => {
    tokens.push(requestTokens.get(stream));
    if (count === 1) fail(stream, 16, "etcdserver: invalid auth token");
    else reply(stream, encodePutResponse(createPutResponse()));
  };
  const client = new Client({ endpoints: [endpoint], username: "root", password: "pw" });
  await client.kv.put("k", "v");
  client.close();
  assert.deepEqual(tokens, ["token1", "token2"]);
});

test("a cluster without authentication is asked for a token once", async () => {
  handlers["Authenticate"] = (stream) => fail(stream, 9, "etcdserver: authentication is not enabled");
  handlers["Put"] = (stream) => reply(stream, encodePutResponse(createPutResponse()));
  const client = new Client({ endpoints: [endpoint], username: "root", password: "pw" });
  await client.kv.put("k", "v");
  await client.kv.put("k", "v");
  client.close();
  assert.equal(counts["Authenticate"], 1);
});

test("a lease is renewed while the loop runs, and the loop ends when the lease is gone", async () => {
  handlers["LeaseKeepAlive"] = (stream, message) => {
    begin(stream);
    const { id } = decodeLeaseKeepAliveRequest(message);
    stream.write(frame(encodeLeaseKeepAliveResponse({ header: undefined, id, ttl: 0 })));
  };
  await withClient(async (client) => {
    await assert.rejects(
      client.lease.keepAliveOnce(7n),
      rejectsWith(5, "etcdserver: requested lease not found"),
    );
    counts["LeaseKeepAlive"] = 0;
    const renewed: bigint[] = [];
    handlers["LeaseKeepAlive"] = (stream, message, count) => {
      begin(stream);
      const { id } = decodeLeaseKeepAliveRequest(message);
      stream.write(frame(encodeLeaseKeepAliveResponse({ header: undefined, id, ttl: count === 1 ? 1 : 0 })));
    };
    for await (const response of client.lease.keepAlive(7n)) renewed.push(response.id);
    assert.deepEqual(renewed, [7n]);
  });
});

function watchReply(stream: ServerHttp2Stream, fields: Partial<WatchResponse>): void {
  begin(stream);
  const header = { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1 };
  stream.write(frame(encodeWatchResponse({ ...createWatchResponse(), header, ...fields })));
}

function put(revision: number): Partial<WatchResponse> {
  const kv = {
    key: Buffer.from("k"),
    createRevision: 1,
    modRevision: revision,
    version: 1,
    value: Buffer.from("v"),
    lease: 0n,
  };
  return {
    header: { clusterId: 1n, memberId: 1n, revision, raftTerm: 1 },
    events: [{ type: 0, kv, prevKv: undefined }],
  };
}

async function nextRevision(watcher: Watcher): Promise<number> {
  const { value } = await watcher.next();
  return value!.events[0]!.kv!.modRevision;
}

test("a watch goes on after the connection is lost, at the first revision not seen", async () => {
  const asked: WatchCreateRequest[] = [];
  handlers["Watch"] = (stream, message, count) => {
    const { requestUnion } = decodeWatchRequest(message);
    if (requestUnion?.case !== "createRequest") return;
    asked.push(requestUnion.value);
    watchReply(stream, { created: true });
    watchReply(stream, put(count === 1 ? 5 : 6));
  };
  await withClient(async (client) => {
    const watcher = client.watch("k", { revision: 3 });
    assert.equal(await nextRevision(watcher), 5);
    for (const session of sessions) session.destroy();
    assert.equal(await nextRevision(watcher), 6);
    assert.deepEqual(
      asked.map((request) => request.startRevision),
      [3, 6],
    );
  });
});

test("watches share a stream, each gets its own events, and a refused one leaves the others alone", async () => {
  handlers["Watch"] = (stream, message, count) => {
    if (decodeWatchRequest(message).requestUnion?.case !== "createRequest") return;
    if (count === 2) {
      const refusal = {
        created: true,
        canceled: true,
        watchId: -1n,
        cancelReason: "mvcc: watcher range is empty",
      };
      watchReply(stream, refusal);
    } else watchReply(stream, { created: true, watchId: BigInt(count) });
    if (count === 3) {
      watchReply(stream, { ...put(8), watchId: 3n });
      watchReply(stream, { ...put(7), watchId: 1n, fragment: true });
      watchReply(stream, { ...put(9), watchId: 1n });
    }
  };
  await withClient(async (client) => {
    const [first, refused, third] = [
      client.watch("a"),
      client.watch("b", { rangeEnd: "a" }),
      client.watch("c"),
    ];
    assert.equal(await nextRevision(third), 8);
    const whole = await first.next();
    assert.deepEqual(
      whole.value!.events.map((event) => event.kv!.modRevision),
      [7, 9],
      "fragments come as one response",
    );
    assert.equal((await refused.next()).value!.canceled, true);
    assert.equal(refused.error?.message, "mvcc: watcher range is empty");
    assert.equal((await refused.next()).done, true);
  });
});

test("the end of a prefix is the next prefix, or everything", () => {
  assert.deepEqual([...prefixEnd(Uint8Array.of(1, 2))], [1, 3]);
  assert.deepEqual([...prefixEnd(Uint8Array.of(1, 255))], [2]);
  assert.deepEqual([...prefixEnd(Uint8Array.of(255, 255))], [0]);
});
