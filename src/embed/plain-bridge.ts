// HTTP requests that come over HTTP/2 on the TLS port (curl asks for /health that way): answered by the same handlers as HTTP/1.1, through
// node's own request and response objects, whose bytes never meet a socket.
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { PlainHandler, PlainRequest } from "../grpc/plain-request.ts";
import type { RequestHandler } from "../http/handler.ts";

/** etcd serves its HTTP mux over HTTP/2 on TLS only; on plain connections HTTP/2 is gRPC's alone. */
const REFUSAL_HEADERS: readonly (readonly [string, string])[] = [
  ["content-type", "text/plain; charset=utf-8"],
];

export function plainBridge(handler: RequestHandler): PlainHandler {
  return (plain) => {
    if (!plain.peer.secure) {
      plain.respond(
        415,
        REFUSAL_HEADERS,
        `invalid gRPC request content-type ${JSON.stringify(plain.header("content-type") ?? "")}\n`,
      );
      return;
    }
    const request = incomingMessage(plain);
    handler(request, capturedResponse(request, plain));
  };
}

function incomingMessage(plain: PlainRequest): IncomingMessage {
  // Only https gets here; the handlers ask the socket whether it is secure.
  const request = new IncomingMessage(new TLSSocket(new Socket()));
  request.method = plain.method;
  request.url = plain.path;
  for (const [name, value] of plain.headers()) request.headers[name] = value;
  if (plain.authority !== undefined) request.headers.host = plain.authority;
  request.push(plain.body.length > 0 ? plain.body : null);
  if (plain.body.length > 0) request.push(null);
  return request;
}

/** Headers that HTTP/2 has no use for, or that the bridge writes itself. */
const DROPPED = new Set(["connection", "transfer-encoding", "keep-alive", "content-length", "date"]);

function capturedResponse(request: IncomingMessage, plain: PlainRequest): ServerResponse {
  const response = new ServerResponse(request);
  const chunks: Buffer[] = [];
  const collect = (chunk: unknown): void => {
    if (typeof chunk === "string") chunks.push(Buffer.from(chunk));
    else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
  };
  response.write = (chunk: unknown) => {
    collect(chunk);
    return true;
  };
  response.end = (chunk?: unknown) => {
    collect(chunk);
    const headers: [string, string][] = [];
    for (const [name, value] of Object.entries(response.getHeaders())) {
      if (!DROPPED.has(name)) headers.push([name, Array.isArray(value) ? value.join(", ") : String(value)]);
    }
    plain.respond(response.statusCode, headers, Buffer.concat(chunks));
    response.emit("close");
    return response;
  };
  return response;
}
