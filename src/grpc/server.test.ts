// Goal: a grpc client that knows nothing of us gets what it would get from any gRPC server. Method: @grpc/grpc-js against our
// server on loopback: unary, streams both ways, errors, deadlines, cancellation, gzip, big messages, back-pressure.
import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { after, before, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { Code, etcdError } from "../base/errors.ts";
import { nodeClock } from "../node/clock.ts";
import type { Method, ServerCall } from "../service/call.ts";
import { GrpcServer } from "./server.ts";

const MAX = 2 << 20;
let lastCall: ServerCall | undefined;
let cancelReason = "";
let onCanceled: () => void = () => {};

function unary(handle: (call: ServerCall, message: Uint8Array) => void): Method {
  return { kind: "unary", handle };
}

const methods = new Map<string, Method>([
  [
    "/t.T/Echo",
    unary((call, message) => {
      lastCall = call;
      call.sendCopy(message);
      call.end();
    }),
  ],
  ["/t.T/Fail", unary((call) => call.fail(etcdError(Code.NotFound, "etcdserver: gone 100% ü")))],
  [
    "/t.T/Later",
    unary((call, message) => {
      const copy = message.slice();
      setImmediate(() => {
        call.send(copy);
        call.end();
      });
    }),
  ],
  [
    "/t.T/Never",
    unary((call) => {
      call.onCancel = (reason) => {
        cancelReason = reason.message;
        onCanceled();
      };
    }),
  ],
  [
    "/t.T/Count",
    {
      kind: "server-stream",
      handle(call, message) {
        for (let i = 0; i < message[0]!; i++) call.sendShared(Uint8Array.of(i), Uint8Array.of(7, 7));
        call.end();
      },
    },
  ],
  [
    "/t.T/Big",
    {
      kind: "server-stream",
      handle(call, message) {
        const size = Buffer.from(message).readUInt32BE(0);
        let at = 0;
        let wait = false;
        call.sendFrom({
          totalBytes: size,
          next(bytesMax, wake) {
            wait = !wait;
            if (wait) {
              setImmediate(wake);
              return undefined;
            }
            const piece = new Uint8Array(Math.min(bytesMax, size - at)).fill(at & 0xff);
            at += piece.length;
            return piece;
          },
          release() {},
        });
        call.end();
      },
    },
  ],
  [
    "/t.T/Chat",
    {
      kind: "bidi",
      open(call) {
        return {
          message: (bytes) => call.sendCopy(bytes),
          requestsEnded: () => call.end(),
        };
      },
    },
  ],
]);

const clock = nodeClock();
const server = new GrpcServer({
  methods,
  clock,
  maxReceiveBytes: MAX,
  maxConcurrentStreams: 0xffffffff,
  pingLimits: { minTimeMs: 5000, permitWithoutStream: false },
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
  onPlainRequest: undefined,
});
let listener: Server;
let client: grpc.Client;

before(async () => {
  listener = createServer({ allowHalfOpen: true }, (socket) => server.accept(socket, Buffer.alloc(0)));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  assert.ok(address !== null && typeof address === "object");
  client = new grpc.Client(`127.0.0.1:${address.port}`, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
});

after(async () => {
  client.close();
  listener.close();
  await server.drain(1000);
});

const identity = (bytes: Buffer): Buffer => bytes;

function call(
  path: string,
  request: Uint8Array,
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      identity,
      identity,
      Buffer.from(request),
      metadata,
      options,
      (error, reply) => (error === null ? resolve(reply!) : reject(error)),
    );
  });
}

async function failure(promise: Promise<unknown>): Promise<grpc.ServiceError> {
  try {
    await promise;
  } catch (error) {
    return error as grpc.ServiceError;
  }
  throw new Error("the call should have failed");
}

function collect(stream: grpc.ClientReadableStream<Buffer>): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const messages: Buffer[] = [];
    stream.on("data", (message: Buffer) => messages.push(message));
    stream.on("error", reject);
    stream.on("end", () => resolve(messages));
  });
}

test("a unary call is answered with its message, of any size up to the limit", async () => {
  for (const size of [0, 1, 100, 5000, 16384, 70_000, MAX]) {
    const request = Buffer.alloc(size, size & 0xff);
    assert.deepEqual(await call("/t.T/Echo", request), request);
  }
});

test("an answer given in a later turn arrives", async () => {
  assert.deepEqual(await call("/t.T/Later", Buffer.from("x")), Buffer.from("x"));
});

test("a thousand calls at once are all answered, each with its own", async () => {
  const replies = await Promise.all(
    Array.from({ length: 1000 }, (_, i) =>
      call(i % 2 === 0 ? "/t.T/Echo" : "/t.T/Later", Buffer.from(String(i))),
    ),
  );
  assert.deepEqual(
    replies.map(String),
    Array.from({ length: 1000 }, (_, i) => String(i)),
  );
});

test("an error arrives with its code and its exact text", async () => {
  const error = await failure(call("/t.T/Fail", Buffer.alloc(1)));
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.details, "etcdserver: gone 100% ü");
});

test("unknown services, methods and paths get grpc-go's texts", async () => {
  const cases = [
    ["/x.X/Echo", "unknown service x.X"],
    ["/t.T/Nope", "unknown method Nope for service t.T"],
    ["/nothing", 'malformed method name: "/nothing"'],
  ] as const;
  for (const [path, text] of cases) {
    const error = await failure(call(path, Buffer.alloc(1)));
    assert.equal(error.code, Code.Unimplemented);
    assert.equal(error.details, text);
  }
});

test("a message over the limit is refused with grpc-go's text", async () => {
  const error = await failure(call("/t.T/Echo", Buffer.alloc(MAX + 1)));
  assert.equal(error.code, Code.ResourceExhausted);
  assert.equal(error.details, `grpc: received message larger than max (${MAX + 1} vs. ${MAX})`);
});

test("gzip requests are read, and a bomb is refused", async () => {
  const metadata = new grpc.Metadata();
  const options = { "grpc.default_compression_algorithm": 2 };
  const zipped = new grpc.Client(
    client.getChannel().getTarget().replace("dns:", ""),
    grpc.credentials.createInsecure(),
    options,
  );
  const send = (request: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      zipped.makeUnaryRequest("/t.T/Echo", identity, identity, request, metadata, (error, reply) =>
        error === null ? resolve(reply!) : reject(error),
      );
    });
  assert.deepEqual(await send(Buffer.alloc(50_000, 5)), Buffer.alloc(50_000, 5));
  const error = await failure(send(Buffer.alloc(MAX + 1)));
  assert.equal(error.code, Code.ResourceExhausted);
  assert.equal(error.details, `grpc: received message after decompression larger than max ${MAX}`);
  zipped.close();
});

test("metadata reaches the method, binary values decoded", async () => {
  const metadata = new grpc.Metadata();
  metadata.set("token", "abc.1");
  metadata.set("blob-bin", Buffer.from([0, 255, 7]));
  await call("/t.T/Echo", Buffer.alloc(1), metadata);
  assert.equal(lastCall!.metadata("token"), "abc.1");
  assert.equal(lastCall!.metadata("blob-bin"), "\x00\xff\x07");
  assert.equal(lastCall!.metadata("absent"), undefined);
  assert.match(lastCall!.remoteAddress, /^127\.0\.0\.1:\d+$/);
});

test("a deadline ends the call on both sides", async () => {
  const told = new Promise<void>((resolve) => {
    onCanceled = resolve;
  });
  const error = await failure(
    call("/t.T/Never", Buffer.alloc(1), new grpc.Metadata(), { deadline: Date.now() + 60 }),
  );
  assert.equal(error.code, Code.DeadlineExceeded);
  await told;
  assert.match(cancelReason, /context (deadline exceeded|canceled)/);
  assert.equal(server.deadlines.size, 0);
});

test("a cancelled call tells its method", async () => {
  const told = new Promise<void>((resolve) => {
    onCanceled = resolve;
  });
  const running = client.makeUnaryRequest("/t.T/Never", identity, identity, Buffer.alloc(1), () => {});
  await call("/t.T/Echo", Buffer.alloc(1));
  running.cancel();
  await told;
  assert.equal(cancelReason, "context canceled");
});

test("a server stream delivers all messages in order", async () => {
  const stream = client.makeServerStreamRequest("/t.T/Count", identity, identity, Buffer.from([200]));
  const messages = await collect(stream);
  assert.deepEqual(
    messages.map((m) => [...m]),
    Array.from({ length: 200 }, (_, i) => [i, 7, 7]),
  );
});

test("a message from a source arrives whole, however the pieces and windows fall", async () => {
  for (const size of [1, 70_000, 3_000_000]) {
    const request = Buffer.alloc(4);
    request.writeUInt32BE(size);
    const [message] = await collect(client.makeServerStreamRequest("/t.T/Big", identity, identity, request));
    assert.equal(message!.length, size);
  }
});

test("a bidirectional stream answers each message and ends after the half-close", async () => {
  const stream = client.makeBidiStreamRequest("/t.T/Chat", identity, identity);
  const all = collect(stream);
  for (let i = 0; i < 50; i++) stream.write(Buffer.alloc(i * 997, i));
  stream.end();
  const messages = await all;
  assert.deepEqual(
    messages.map((m) => m.length),
    Array.from({ length: 50 }, (_, i) => i * 997),
  );
});

test("a client that is sent away keeps its running call and opens the next one on a new connection", async () => {
  const chat = client.makeBidiStreamRequest("/t.T/Chat", identity, identity);
  const answer = (): Promise<Buffer> => new Promise((resolve) => chat.once("data", resolve));
  const first = answer();
  chat.write(Buffer.from("before"));
  assert.equal((await first).toString(), "before");
  server.sendAway();
  assert.equal((await call("/t.T/Echo", Buffer.from("elsewhere"))).toString(), "elsewhere");
  const second = answer();
  chat.write(Buffer.from("after"));
  assert.equal((await second).toString(), "after");
  const ended = new Promise((resolve) => chat.once("end", resolve));
  chat.end();
  await ended;
});
