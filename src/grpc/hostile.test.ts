// Goal: every wrong or greedy client gets the answer that RFC 9113, grpc-go or our limits define, and costs bounded memory.
// Method: frames by hand into a server without a network (testing/wire), on a clock moved by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Code } from "../base/errors.ts";
import {
  CONTINUATION_FRAMES_MAX,
  IDLE_FRAMES_BURST,
  OUTPUT_BYTES_HIGH,
  QUEUED_BYTES_REFUSE,
  RESETS_BURST,
} from "../http2/limits.ts";
import { ErrorCode, Flag, FrameType } from "../http2/protocol.ts";
import { MAX_RECEIVE, PeerSession, testMethods } from "./testing/peer-session.ts";
import { type Frame, frame, headerBlock, message, REQUEST, request, u32 } from "./testing/wire.ts";

const END = Flag.EndStream | Flag.EndHeaders;

function open(
  streamId: number,
  path: string,
  more: readonly (readonly [string, string])[] = [],
  flags = 0,
): Buffer {
  return frame(FrameType.Headers, Flag.EndHeaders | flags, streamId, request(path, more));
}

function call(streamId: number, path: string, body: Uint8Array): Buffer {
  return Buffer.concat([
    open(streamId, path),
    frame(FrameType.Data, Flag.EndStream, streamId, message(body)),
  ]);
}

/** Code and debug text of the GOAWAY among the answers. */
function goaway(answers: readonly Frame[]): [code: number, reason: string] {
  const found = answers.find((sent) => sent.type === FrameType.Goaway);
  assert.ok(found, "the server says GOAWAY");
  return [found.payload.readUInt32BE(4), found.payload.toString("latin1", 8)];
}

function reset(answers: readonly Frame[]): [streamId: number, code: number] {
  const found = answers.find((sent) => sent.type === FrameType.RstStream);
  assert.ok(found, "the server resets the stream");
  return [found.streamId, found.payload.readUInt32BE(0)];
}

/** All header fields on a stream, headers and trailers together. */
function fields(session: PeerSession, answers: readonly Frame[]): Record<string, string> {
  const all: Record<string, string> = {};
  for (const sent of answers)
    if (sent.type === FrameType.Headers) Object.assign(all, session.headers.read(sent));
  return all;
}

test("an answer is headers, data, trailers, in one write, and shrinks to a few bytes from the second on", () => {
  const session = new PeerSession().greet();
  const sizes: number[] = [];
  for (let id = 1; id <= 7; id += 2) {
    session.send(call(id, "/t.T/Echo", Buffer.from("abc")));
    session.clock.settle();
    assert.equal(session.socket.written.length, 1);
    const answers = session.answers();
    assert.deepEqual(
      answers.map((sent) => sent.type),
      [FrameType.Headers, FrameType.Data, FrameType.Headers],
    );
    assert.deepEqual(session.headers.read(answers[0]!), {
      ":status": "200",
      "content-type": "application/grpc",
    });
    assert.deepEqual([...answers[1]!.payload], [0, 0, 0, 0, 3, 97, 98, 99]);
    assert.deepEqual(session.headers.read(answers[2]!), { "grpc-status": "0" });
    assert.equal(answers[2]!.flags, END);
    sizes.push(answers[0]!.payload.length + answers[2]!.payload.length);
  }
  assert.deepEqual(sizes.slice(1), [3, 3, 3]);
});

test("a client that shrinks its header table gets a size update and literals", () => {
  const session = new PeerSession().greet();
  fields(session, session.exchange(call(1, "/t.T/Echo", Buffer.from("a"))));
  session.exchange(frame(FrameType.Settings, 0, 0, [0, 1, 0, 0, 0, 0]));
  const answers = session.exchange(call(3, "/t.T/Echo", Buffer.from("a")));
  assert.equal(answers[0]!.payload[0], 0x20);
  assert.deepEqual(fields(session, answers), {
    ":status": "200",
    "content-type": "application/grpc",
    "grpc-status": "0",
  });
});

test("all requests of one read are answered in one write, and frames cut anywhere are put together", () => {
  const bytes = Buffer.concat([1, 3, 5].map((id) => call(id, "/t.T/Echo", Buffer.alloc(50, id))));
  const whole = new PeerSession().greet();
  whole.send(bytes);
  whole.clock.settle();
  assert.equal(whole.socket.written.length, 1);
  const wanted = Buffer.concat(whole.socket.written);
  for (let cut = 1; cut < bytes.length; cut += 7) {
    const session = new PeerSession().greet();
    session.send(bytes.subarray(0, cut));
    session.send(bytes.subarray(cut));
    session.clock.settle();
    assert.deepEqual(Buffer.concat(session.socket.written), wanted);
  }
  const bytewise = new PeerSession().greet();
  for (const byte of bytes) bytewise.send(Uint8Array.of(byte));
  bytewise.clock.settle();
  assert.deepEqual(Buffer.concat(bytewise.socket.written), wanted);
});

test("connection errors end the connection with their code", () => {
  const cases: readonly (readonly [string, Buffer, ErrorCode])[] = [
    ["DATA on stream 0", frame(FrameType.Data, 0, 0, [1]), ErrorCode.ProtocolError],
    ["DATA on an idle stream", frame(FrameType.Data, 0, 9, [1]), ErrorCode.ProtocolError],
    ["even stream", open(2, "/t.T/Echo"), ErrorCode.ProtocolError],
    ["PUSH_PROMISE", frame(FrameType.PushPromise, 4, 1, [0, 0, 0, 2]), ErrorCode.ProtocolError],
    ["CONTINUATION alone", frame(FrameType.Continuation, 4, 1), ErrorCode.ProtocolError],
    ["PING of 7", frame(FrameType.Ping, 0, 0, [1, 2, 3, 4, 5, 6, 7]), ErrorCode.FrameSizeError],
    ["RST of 3", frame(FrameType.RstStream, 0, 1, [0, 0, 0]), ErrorCode.FrameSizeError],
    ["SETTINGS of 5", frame(FrameType.Settings, 0, 0, [0, 1, 0, 0, 0]), ErrorCode.FrameSizeError],
    ["window of 2^31", frame(FrameType.Settings, 0, 0, [0, 4, 0x80, 0, 0, 0]), ErrorCode.FlowControlError],
    ["WINDOW_UPDATE of 0", frame(FrameType.WindowUpdate, 0, 0, [0, 0, 0, 0]), ErrorCode.ProtocolError],
    ["window over the top", frame(FrameType.WindowUpdate, 0, 0, u32(0x7fffffff)), ErrorCode.FlowControlError],
    ["bad header block", frame(FrameType.Headers, 4, 1, [0xff, 0xff, 0xff]), ErrorCode.CompressionError],
    ["long frame", frame(FrameType.Data, 0, 1, Buffer.alloc(16385)), ErrorCode.FrameSizeError],
    ["padding over all", frame(FrameType.Data, 8, 1, [9, 1, 1]), ErrorCode.ProtocolError],
  ];
  for (const [what, bytes, code] of cases) {
    const session = new PeerSession().greet();
    assert.equal(goaway(session.exchange(bytes))[0], code, what);
    assert.equal(session.socket.ended, true, what);
    session.clock.advance(3000);
    assert.equal(session.socket.destroyed, true, what);
    assert.equal(session.server.connectionCount, 0, what);
  }
});

test("something else than HTTP/2, or no SETTINGS first, is ended", () => {
  const other = new PeerSession();
  assert.equal(goaway(other.exchange(Buffer.from("GET / HTTP/1.1\r\n\r\n")))[0], ErrorCode.ProtocolError);
  const unset = new PeerSession();
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  assert.equal(goaway(unset.exchange(preface, open(1, "/t.T/Echo")))[0], ErrorCode.ProtocolError);
});

test("refusals have grpc-go's status, text and HTTP status", () => {
  const pseudo = REQUEST.filter(([name]) => name !== "content-type");
  const cases: readonly (readonly [Buffer, string, Code, string])[] = [
    [headerBlock(pseudo), "415", Code.InvalidArgument, 'invalid gRPC request content-type ""'],
    [
      headerBlock([...pseudo, ["content-type", "text/html"]]),
      "415",
      Code.InvalidArgument,
      'invalid gRPC request content-type "text/html"',
    ],
    [
      request("/t.T/Echo", [["grpc-timeout", "12"]]),
      "400",
      Code.Internal,
      'malformed grpc-timeout: transport: timeout unit is not recognized: "12"',
    ],
    [
      request("/t.T/Echo", [["x-bin", "a*b"]]),
      "400",
      Code.Internal,
      'malformed binary metadata "a*b" in header "x-bin": illegal base64 data at input byte 1',
    ],
    [
      headerBlock(REQUEST.map(([n, v]) => [n, n === ":method" ? "PUT" : v] as const)),
      "405",
      Code.Internal,
      'Received a HEADERS frame with :method "PUT" which should be POST',
    ],
    [request("/no.S/M"), "200", Code.Unimplemented, "unknown service no.S"],
    [request("/t.T/M"), "200", Code.Unimplemented, "unknown method M for service t.T"],
    [
      request("/t.T/Echo", [["grpc-encoding", "snappy"]]),
      "200",
      Code.Unimplemented,
      'grpc: Decompressor is not installed for grpc-encoding "snappy"',
    ],
    [
      request("/t.T/Echo", [["grpc-timeout", "0n"]]),
      "200",
      Code.DeadlineExceeded,
      "context deadline exceeded",
    ],
  ];
  for (const [block, httpStatus, code, text] of cases) {
    const session = new PeerSession().greet();
    const answers = session.exchange(frame(FrameType.Headers, Flag.EndHeaders, 1, block));
    const answer = fields(session, answers);
    assert.equal(answer[":status"], httpStatus, text);
    assert.equal(answer["grpc-status"], String(code), text);
    assert.equal(answer["grpc-message"], text);
    assert.deepEqual(reset(answers), [1, ErrorCode.NoError]);
    // The connection is as good as before.
    assert.equal(
      fields(session, session.exchange(call(3, "/t.T/Echo", Buffer.alloc(1))))["grpc-status"],
      "0",
    );
  }
});

test("wrong messages have grpc-go's status and text", () => {
  const bomb = gzipSync(Buffer.alloc(MAX_RECEIVE + 1));
  const gzip = [["grpc-encoding", "gzip"]] as const;
  const cases: readonly (readonly [string, readonly (readonly [string, string])[], Buffer, Code, string])[] =
    [
      ["/t.T/Echo", [], Buffer.alloc(0), Code.Unknown, "EOF"],
      ["/t.T/Echo", [], Buffer.from([0, 0, 0]), Code.Unknown, "unexpected EOF"],
      ["/t.T/Echo", [], Buffer.from([0, 0, 0, 0, 9, 1]), Code.Unknown, "unexpected EOF"],
      [
        "/t.T/List",
        [],
        Buffer.alloc(0),
        Code.Internal,
        "cardinality violation: received no request message from non-client-streaming RPC",
      ],
      [
        "/t.T/List",
        [],
        Buffer.concat([message(Buffer.alloc(0)), message(Buffer.alloc(0))]),
        Code.Internal,
        "cardinality violation: received multiple request messages for non-client-streaming RPC",
      ],
      [
        "/t.T/Echo",
        [],
        message(Buffer.alloc(1), 1),
        Code.Internal,
        "grpc: compressed flag set with identity or empty encoding",
      ],
      [
        "/t.T/Echo",
        [],
        message(Buffer.alloc(1), 2),
        Code.Internal,
        "grpc: received unexpected payload format 2",
      ],
      [
        "/t.T/Echo",
        [],
        Buffer.concat([Buffer.from([0]), u32(MAX_RECEIVE + 1)]),
        Code.ResourceExhausted,
        `grpc: received message larger than max (${MAX_RECEIVE + 1} vs. ${MAX_RECEIVE})`,
      ],
      [
        "/t.T/Echo",
        gzip,
        message(bomb, 1),
        Code.ResourceExhausted,
        `grpc: received message after decompression larger than max ${MAX_RECEIVE}`,
      ],
      [
        "/t.T/Echo",
        gzip,
        message(Buffer.from("no gzip"), 1),
        Code.Internal,
        "grpc: failed to decompress the message: gzip: invalid header",
      ],
    ];
  for (const [path, more, bytes, code, text] of cases) {
    const session = new PeerSession().greet();
    const answers = session.exchange(open(1, path, more), frame(FrameType.Data, Flag.EndStream, 1, bytes));
    const answer = fields(session, answers);
    assert.equal(answer["grpc-message"], text);
    assert.equal(answer["grpc-status"], String(code), text);
  }
});

test("streams over the limit are refused, and room comes back", () => {
  const session = new PeerSession({ maxConcurrentStreams: 2 }).greet();
  const answers = session.exchange(open(1, "/t.T/Echo"), open(3, "/t.T/Echo"), open(5, "/t.T/Echo"));
  assert.deepEqual(reset(answers), [5, ErrorCode.RefusedStream]);
  session.exchange(frame(FrameType.RstStream, 0, 1, u32(ErrorCode.Cancel)));
  assert.equal(fields(session, session.exchange(call(7, "/t.T/Echo", Buffer.alloc(1))))["grpc-status"], "0");
});

test("pings: answered at once; three too early end the connection as grpc-go does", () => {
  const session = new PeerSession().greet();
  const ping = frame(FrameType.Ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
  const [pong] = session.exchange(ping);
  assert.equal(pong!.flags, Flag.Ack);
  assert.deepEqual([...pong!.payload], [1, 2, 3, 4, 5, 6, 7, 8]);
  session.exchange(ping);
  assert.equal(session.exchange(ping).length, 1);
  assert.deepEqual(goaway(session.exchange(ping)), [ErrorCode.EnhanceYourCalm, "too_many_pings"]);
});

test("pings: with a stream they may come every five seconds, and after an answer at any time", () => {
  const session = new PeerSession().greet();
  const ping = frame(FrameType.Ping, 0, 0, Buffer.alloc(8));
  session.send(open(1, "/t.T/Chat"));
  for (let i = 0; i < 20; i++) {
    assert.equal(session.exchange(ping).length, 1);
    session.clock.advance(5001);
  }
  for (let i = 0; i < 20; i++) {
    session.exchange(frame(FrameType.Data, 0, 1, message(Buffer.from("x"))));
    assert.equal(session.exchange(ping).length, 1);
  }
});

test("pings: the acknowledgement goes with an answer that is on its way, and waits five milliseconds at most", () => {
  const waiting = { proposals: 1 };
  const session = new PeerSession({ answersSoon: () => waiting.proposals > 0 }).greet();
  const ping = frame(FrameType.Ping, 0, 0, Buffer.alloc(8));
  assert.deepEqual(session.exchange(ping, call(1, "/t.T/Hold", Buffer.alloc(1))), []);
  session.calls[0]!.send(Buffer.alloc(1));
  session.calls[0]!.end();
  session.server.flush();
  assert.equal(session.socket.written.length, 1, "one write");
  const types = session.answers().map((sent) => sent.type);
  assert.deepEqual(types, [FrameType.Ping, FrameType.Headers, FrameType.Data, FrameType.Headers]);

  assert.deepEqual(session.exchange(ping), []);
  session.clock.advance(4);
  assert.deepEqual(session.answers(), []);
  session.clock.advance(1);
  assert.deepEqual(
    session.answers().map((sent) => sent.type),
    [FrameType.Ping],
  );

  const beside = session.exchange(ping, call(3, "/t.T/Echo", Buffer.alloc(1)));
  assert.equal(
    beside[0]!.type,
    FrameType.Ping,
    "what is answered in the turn does not wait, nor does its ping",
  );
  waiting.proposals = 0;
  assert.equal(session.exchange(ping).length, 1, "nobody waits: at once");
});

test("the server pings an idle connection and gives up a dead one", () => {
  const session = new PeerSession({ keepaliveIntervalMs: 10_000, keepaliveTimeoutMs: 3000 }).greet();
  session.clock.advance(12_500);
  const [ping] = session.answers();
  assert.equal(ping!.type, FrameType.Ping);
  session.exchange(frame(FrameType.Ping, Flag.Ack, 0, ping!.payload));
  session.clock.advance(5000);
  assert.equal(session.socket.destroyed, false);
  session.clock.advance(20_000);
  assert.equal(session.socket.destroyed, true);
});

test("a deadline fires on time, with its status, and only once", () => {
  const session = new PeerSession().greet();
  const canceled: string[] = [];
  session.send(
    open(1, "/t.T/Hold", [["grpc-timeout", "9000m"]]),
    frame(FrameType.Data, 1, 1, message(Buffer.alloc(0))),
  );
  session.calls[0]!.onCancel = (reason) => canceled.push(reason.message);
  session.clock.advance(8990);
  assert.deepEqual(canceled, []);
  session.clock.advance(40);
  assert.deepEqual(canceled, ["context deadline exceeded"]);
  assert.equal(fields(session, session.answers())["grpc-status"], String(Code.DeadlineExceeded));
  session.calls[0]!.send(Buffer.alloc(1));
  session.calls[0]!.end();
  assert.deepEqual(session.answers(), []);
  assert.equal(session.server.deadlines.size, 0);
});

test("rapid resets end the connection after a burst", () => {
  const session = new PeerSession().greet();
  const cancel = u32(ErrorCode.Cancel);
  for (let i = 0; i < RESETS_BURST; i++) {
    const id = 2 * i + 1;
    session.send(open(id, "/t.T/Chat"), frame(FrameType.RstStream, 0, id, cancel));
  }
  assert.equal(session.socket.ended, false);
  const id = 2 * RESETS_BURST + 1;
  session.send(open(id, "/t.T/Chat"), frame(FrameType.RstStream, 0, id, cancel));
  assert.deepEqual(goaway(session.answers()), [ErrorCode.EnhanceYourCalm, "too_many_resets"]);
});

test("a stream that is half-closed and reset in one write gets no trailers, and may be one of any number", () => {
  const counted = new Map<Code, number>();
  const session = new PeerSession({
    onHandled: (_, code) => counted.set(code, (counted.get(code) ?? 0) + 1),
  }).greet();
  const rounds = RESETS_BURST + IDLE_FRAMES_BURST;
  session.send(frame(FrameType.WindowUpdate, 0, 0, u32(1 << 20)));
  const cancel = u32(ErrorCode.Cancel);
  for (let i = 0; i < rounds; i++) {
    const id = 2 * i + 1;
    session.send(open(id, "/t.T/Chat"), frame(FrameType.Data, 0, id, message(Buffer.from("x"))));
    session.send(frame(FrameType.Data, Flag.EndStream, id, []), frame(FrameType.RstStream, 0, id, cancel));
    if (i % 100 === 0) session.answers();
  }
  session.answers();
  assert.equal(session.socket.ended, false);
  assert.deepEqual([...counted], [[Code.OK, rounds]]);
  const id = 2 * rounds + 1;
  const ended = session.exchange(
    open(id, "/t.T/Chat"),
    frame(FrameType.Data, 0, id, message(Buffer.from("x"))),
    frame(FrameType.Data, Flag.EndStream, id, []),
  );
  assert.equal(ended.length, 3, "without the reset there are trailers");
  const late = session.exchange(
    open(id + 2, "/t.T/Chat"),
    frame(FrameType.Data, 0, id + 2, message(Buffer.from("x"))),
    frame(FrameType.Data, Flag.EndStream, id + 2, []),
    frame(FrameType.RstStream, 0, id + 2, cancel),
  );
  assert.deepEqual(
    late.map((sent) => sent.type),
    [FrameType.Headers, FrameType.Data],
  );
});

test("floods of frames that move nothing end the connection", () => {
  const floods: readonly (readonly [string, Buffer])[] = [
    ["SETTINGS", frame(FrameType.Settings, 0, 0)],
    ["PRIORITY", frame(FrameType.Priority, 0, 1, [0, 0, 0, 3, 1])],
    ["empty DATA", frame(FrameType.Data, 0, 1)],
    ["unknown frames", frame(77, 0, 0)],
  ];
  for (const [what, one] of floods) {
    const session = new PeerSession().greet();
    session.send(open(1, "/t.T/Chat"));
    for (let i = 0; i <= IDLE_FRAMES_BURST; i++) session.send(one);
    assert.deepEqual(goaway(session.answers()), [ErrorCode.EnhanceYourCalm, "too_many_frames"], what);
  }
});

test("endless CONTINUATION ends the connection", () => {
  const session = new PeerSession().greet();
  session.send(frame(FrameType.Headers, 0, 1, request("/t.T/Echo")));
  for (let i = 0; i < CONTINUATION_FRAMES_MAX; i++) session.send(frame(FrameType.Continuation, 0, 1));
  assert.equal(goaway(session.answers())[0], ErrorCode.EnhanceYourCalm);
});

test("a header block in pieces is one block", () => {
  const session = new PeerSession().greet();
  const block = request("/t.T/Echo");
  const answers = session.exchange(
    frame(FrameType.Headers, 0, 1, block.subarray(0, 10)),
    frame(FrameType.Continuation, 0, 1, block.subarray(10, 11)),
    frame(FrameType.Continuation, Flag.EndHeaders, 1, block.subarray(11)),
    frame(FrameType.Data, Flag.EndStream, 1, message(Buffer.from("ok"))),
  );
  assert.equal(fields(session, answers)["grpc-status"], "0");
});

test("a closed window holds the bytes back, frame by frame, and credit lets them go, trailers last", () => {
  const session = new PeerSession().greet();
  session.exchange(frame(FrameType.Settings, 0, 0, [0, 4, 0, 0, 0, 3]));
  const answers = session.exchange(call(1, "/t.T/Echo", Buffer.from("abcdef")));
  const got = answers.filter((sent) => sent.type === FrameType.Data).map((sent) => sent.payload);
  assert.equal(Buffer.concat(got).length, 3);
  let last: Frame | undefined;
  for (let i = 0; i < 8; i++) {
    for (const sent of session.exchange(frame(FrameType.WindowUpdate, 0, 1, u32(1)))) {
      if (sent.type === FrameType.Data) got.push(sent.payload);
      last = sent;
    }
  }
  assert.deepEqual(Buffer.concat(got), message(Buffer.from("abcdef")));
  assert.equal(last!.type, FrameType.Headers);
});

test("streams share a slow connection fairly", () => {
  const session = new PeerSession().greet();
  session.exchange(frame(FrameType.Settings, 0, 0, [0, 4, 0x10, 0, 0, 0]));
  session.exchange(call(1, "/t.T/List", Buffer.alloc(40, 200)), call(3, "/t.T/List", Buffer.alloc(40, 200)));
  const order = session
    .exchange(frame(FrameType.WindowUpdate, 0, 0, u32(16384 * 8)))
    .filter((sent) => sent.type === FrameType.Data)
    .map((sent) => sent.streamId);
  assert.deepEqual(order, [1, 3, 1, 3, 1, 3, 1, 3]);
});

test("a socket that takes nothing bounds what is made for it", () => {
  const session = new PeerSession().greet();
  session.exchange(frame(FrameType.Settings, 0, 0, [0, 4, 0x7f, 0xff, 0xff, 0xff]));
  session.exchange(frame(FrameType.WindowUpdate, 0, 0, u32(0x70000000)));
  session.socket.stuck = true;
  let asked = 0;
  const total = 50 << 20;
  session.send(open(1, "/t.T/Hold"), frame(FrameType.Data, 1, 1, message(Buffer.alloc(0))));
  let released = 0;
  session.calls[0]!.sendFrom({
    totalBytes: total,
    next(bytesMax) {
      asked += bytesMax;
      return new Uint8Array(bytesMax);
    },
    release: () => released++,
  });
  session.calls[0]!.end();
  session.answers();
  assert.ok(asked <= 2 * OUTPUT_BYTES_HIGH, `asked for ${asked}`);
  session.socket.stuck = false;
  const answers = session.answers();
  assert.ok(answers.length > 0);
  assert.equal(asked, total);
  assert.equal(released, 1);
  assert.equal(answers.at(-1)!.type, FrameType.Headers);
});

test("a peer that hoards answers gets no new streams until it has taken some", () => {
  const session = new PeerSession({ maxReceiveBytes: 1 << 20 }).greet();
  session.exchange(frame(FrameType.Settings, 0, 0, [0, 4, 0, 0, 0, 0]));
  const each = 1 << 20;
  let id = 1;
  for (; (id / 2) * each <= QUEUED_BYTES_REFUSE + each; id += 2) {
    session.send(open(id, "/t.T/Hold"), frame(FrameType.Data, 1, id, message(Buffer.alloc(0))));
    session.calls.at(-1)!.send(new Uint8Array(each));
  }
  fields(session, session.answers());
  assert.deepEqual(reset(session.exchange(open(id, "/t.T/Echo"))), [id, ErrorCode.RefusedStream]);
  session.exchange(frame(FrameType.RstStream, 0, 1, u32(8)), frame(FrameType.RstStream, 0, 3, u32(8)));
  const answers = session.exchange(call(id + 2, "/t.T/Echo", Buffer.alloc(1)));
  assert.equal(fields(session, answers)[":status"], "200");
});

test("onDrain is called each time the queue falls below its mark, and not before", () => {
  const session = new PeerSession().greet();
  session.send(open(1, "/t.T/Hold"), frame(FrameType.Data, 1, 1, message(Buffer.alloc(0))));
  const held = session.calls[0]!;
  let drained = 0;
  held.onDrain = () => {
    drained++;
    if (drained === 1) held.send(new Uint8Array(100_000));
  };
  held.send(new Uint8Array(200_000));
  session.answers();
  assert.equal(held.bufferedBytes, 200_005 - 65_535);
  assert.equal(drained, 0);
  const credit = u32(80_000);
  session.exchange(frame(FrameType.WindowUpdate, 0, 0, credit), frame(FrameType.WindowUpdate, 0, 1, credit));
  assert.equal(drained, 1);
  assert.equal(held.bufferedBytes, 200_005 - 65_535 - 80_000 + 100_005);
  const rest = u32(1 << 20);
  session.exchange(frame(FrameType.WindowUpdate, 0, 0, rest), frame(FrameType.WindowUpdate, 0, 1, rest));
  assert.equal(drained, 2);
  assert.equal(held.bufferedBytes, 0);
});

test("a source that fails in the midst of its message resets the stream", () => {
  const session = new PeerSession().greet();
  session.send(open(1, "/t.T/Hold"), frame(FrameType.Data, 1, 1, message(Buffer.alloc(0))));
  let released = 0;
  let pieces = 0;
  session.calls[0]!.sendFrom({
    totalBytes: 1000,
    next: () => (pieces++ === 0 ? new Uint8Array(10) : { code: Code.Internal, message: "lost" }),
    release: () => released++,
  });
  assert.deepEqual(reset(session.answers()), [1, ErrorCode.InternalError]);
  assert.equal(released, 1);
  assert.equal(session.calls[0]!.done, true);
});

test("credit for received bytes comes back at half the window, not before", () => {
  const session = new PeerSession({ maxReceiveBytes: 64 << 20 }).greet();
  const updates: Frame[] = [];
  session.send(open(1, "/t.T/Chat"), frame(FrameType.Data, 0, 1, [0, ...u32(60 << 20)]));
  const chunk = frame(FrameType.Data, 0, 1, Buffer.alloc(16384));
  for (let i = 0; i < 1024; i++) updates.push(...session.exchange(chunk));
  const stream = updates.filter((sent) => sent.streamId === 1);
  const connection = updates.filter((sent) => sent.streamId === 0);
  assert.equal(stream.length, 8);
  assert.equal(connection.length, 2);
});

test("a drained connection says GOAWAY twice, finishes its calls, and goes", async () => {
  const session = new PeerSession().greet();
  session.send(open(1, "/t.T/Chat"));
  const drained = session.server.drain(60_000);
  const first = session.answers();
  assert.deepEqual(goaway(first), [ErrorCode.NoError, "graceful_stop"]);
  const ping = first.find((sent) => sent.type === FrameType.Ping)!;
  const second = session.exchange(frame(FrameType.Ping, Flag.Ack, 0, ping.payload));
  assert.equal(second[0]!.payload.readUInt32BE(0), 1);
  assert.equal(session.socket.ended, false);
  session.exchange(frame(FrameType.Data, Flag.EndStream, 1, message(Buffer.from("bye"))));
  assert.equal(session.socket.ended, true);
  session.socket.emit("end");
  await drained;
});

test("a call in flight is told when its connection is lost", () => {
  const session = new PeerSession().greet();
  session.send(open(1, "/t.T/Hold"), frame(FrameType.Data, 1, 1, message(Buffer.alloc(0))));
  let told = "";
  session.calls[0]!.onCancel = (reason) => {
    told = reason.message;
  };
  session.socket.emit("close");
  assert.equal(told, "context canceled");
  assert.equal(session.calls[0]!.done, true);
});

test("started, handled and messages are counted, and refusals of unknown methods are not", () => {
  const counts = new Map<string, number>();
  const cell = (name: string) => ({ add: (n: number) => void counts.set(name, (counts.get(name) ?? 0) + n) });
  const session = new PeerSession({
    methods: testMethods(),
    methodStats: (path) => ({
      started: cell(`${path} started`),
      received: cell(`${path} received`),
      sent: cell(`${path} sent`),
      handled: Array.from({ length: 17 }, (_, code) => cell(`${path} ${code}`)),
    }),
  }).greet();
  session.exchange(
    call(1, "/t.T/Echo", Buffer.alloc(1)),
    call(3, "/t.T/List", Buffer.alloc(3)),
    open(5, "/t.T/Nope"),
  );
  session.exchange(open(7, "/t.T/Chat"), frame(FrameType.RstStream, 0, 7, u32(8)));
  assert.deepEqual(Object.fromEntries([...counts].sort()), {
    "/t.T/Chat 1": 1,
    // The receive that fails at the end, as etcd's interceptors count it.
    "/t.T/Chat received": 1,
    "/t.T/Chat started": 1,
    "/t.T/Echo 0": 1,
    "/t.T/Echo received": 1,
    "/t.T/Echo sent": 1,
    "/t.T/Echo started": 1,
    "/t.T/List 0": 1,
    "/t.T/List received": 1,
    "/t.T/List sent": 3,
    "/t.T/List started": 1,
  });
});
