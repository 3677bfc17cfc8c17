// Goal: plain HTTP/2 requests on our connections are answered as any HTTP/2 server answers them. Method: differential; the same
// node:http2 client asks our server and node:http2's with the same handler, and must see the same.
import assert from "node:assert/strict";
import * as http2 from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { after, before, test } from "node:test";
import { nodeClock } from "../node/clock.ts";
import type { PlainRequest } from "./plain-request.ts";
import { GrpcServer } from "./server.ts";

type Answer = { status: number; headers: [string, string][]; body: string | Buffer };

function handle(method: string, path: string, said: string | undefined, body: Uint8Array): Answer {
  if (path === "/empty") return { status: 204, headers: [], body: "" };
  if (path === "/big") return { status: 200, headers: [["x-big", "1"]], body: Buffer.alloc(900_000, 7) };
  const text = `${method} ${path} ${said} ${body.length} ${body.reduce((a, b) => (a + b) % 65521, 0)}`;
  return { status: path === "/404" ? 404 : 200, headers: [["content-type", "text/plain"]], body: text };
}

const server = new GrpcServer({
  methods: new Map(),
  clock: nodeClock(),
  maxReceiveBytes: 1 << 20,
  maxConcurrentStreams: 0xffffffff,
  pingLimits: undefined,
  keepaliveIntervalMs: 0,
  keepaliveTimeoutMs: 1000,
  onPlainRequest: (request: PlainRequest) => {
    const answer = handle(request.method, request.path, request.header("x-said"), request.body);
    request.respond(answer.status, answer.headers, answer.body);
  },
  plainRequestsWithoutTls: true,
});
let ours: Server;
let theirs: http2.Http2Server;
const sessions: http2.ClientHttp2Session[] = [];

before(async () => {
  ours = createServer({ allowHalfOpen: true }, (socket) => server.accept(socket, Buffer.alloc(0)));
  theirs = http2.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const said = request.headers["x-said"] as string | undefined;
      const answer = handle(request.method, request.url, said, Buffer.concat(parts));
      const length = Buffer.byteLength(answer.body);
      response.writeHead(
        answer.status,
        Object.fromEntries([...answer.headers, ["content-length", String(length)]]),
      );
      response.end(answer.body);
    });
  });
  for (const one of [ours, theirs]) {
    await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
    sessions.push(http2.connect(`http://127.0.0.1:${(one.address() as AddressInfo).port}`));
  }
});

after(async () => {
  for (const session of sessions) session.destroy();
  ours.close();
  theirs.close();
  await server.drain(500);
});

type Seen = { headers: Record<string, unknown>; body: Buffer };

function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer,
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body.length === 0 });
    let got: Record<string, unknown> = {};
    const parts: Buffer[] = [];
    stream.on("response", (all) => {
      got = { ...all };
      delete got["date"]; // node:http2 adds it by itself
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => resolve({ headers: got, body: Buffer.concat(parts) }));
    stream.on("error", reject);
    if (body.length > 0) stream.end(body);
  });
}

test("methods, paths, headers and bodies of any size give the same answers", async () => {
  for (const path of ["/", "/a?b=c", "/404", "/empty", "/big"]) {
    for (const method of ["GET", "POST", "HEAD", "PUT"]) {
      for (const size of method === "POST" || method === "PUT" ? [0, 1, 20_000, 700_000] : [0]) {
        const headers = { ":method": method, ":path": path, "x-said": `v${size}` };
        const [mine, other] = await Promise.all(
          sessions.map((session) => ask(session, headers, Buffer.alloc(size, size & 0xff))),
        );
        assert.deepEqual(mine!.headers[":status"], other!.headers[":status"], `${method} ${path} ${size}`);
        assert.deepEqual(mine!.body, other!.body, `${method} ${path} ${size}`);
        // For 204 and HEAD node leaves content-length to taste.
        const plain = (seen: Seen): unknown[] => [seen.headers["content-type"], seen.headers["x-big"]];
        assert.deepEqual(plain(mine!), plain(other!));
      }
    }
  }
});

test("a hundred requests at once on one connection do not mix", async () => {
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      ask(sessions[0]!, { ":method": "POST", ":path": `/${i}`, "x-said": "s" }, Buffer.alloc(i * 300, 1)),
    ),
  );
  answers.forEach((answer, i) => {
    assert.equal(answer.body.toString(), `POST /${i} s ${i * 300} ${i * 300}`);
  });
});

test("a body over the limit is refused with 413", async () => {
  const answer = await ask(sessions[0]!, { ":method": "POST", ":path": "/" }, Buffer.alloc((4 << 20) + 1));
  assert.equal(answer.headers[":status"], 413);
});
