// The paths below /raft on the peer port: single messages, streams, probes (rafthttp's http.go). Who asks must be of our cluster and of a
// version we understand; everything else has etcd's answer.
import type { IncomingMessage, ServerResponse } from "node:http";
import { hexId } from "../cluster/ids.ts";
import { sendError } from "../node/http-reply.ts";
import type { Message } from "../raft/message.ts";
import { CAIRN_HEARTBEAT_HEADER, headerText, idFromHex, incompatibility } from "./compatibility.ts";
import { StreamError } from "./frame-buffer.ts";
import { PIPELINE_MESSAGE_BYTES_MAX } from "./limits.ts";
import { parseMessage } from "./message-codec.ts";
import { receiveChecked } from "./peer.ts";
import { type PeerHost, setClusterId } from "./peer-host.ts";
import { BodyError, wholeBody } from "./request-body.ts";
import { type StreamKind, streamPath } from "./stream-writer.ts";

/** True when the method is right; else it is answered. */
export function allows(method: string, request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === method) return true;
  response.setHeader("Allow", method);
  sendError(response, 405, "Method Not Allowed");
  return false;
}

/** True when the sender is compatible; else it is answered. */
export function admits(host: PeerHost, request: IncomingMessage, response: ServerResponse): boolean {
  setClusterId(host, response);
  const refusal = incompatibility(request.headers, host.introduction, host.logger);
  if (refusal === undefined) return true;
  sendError(response, 412, refusal);
  return false;
}

/** A member that we do not know yet says where it can be answered. */
export function learnRemote(host: PeerHost, request: IncomingMessage): void {
  const from = idFromHex(headerText(request.headers, "x-server-from"));
  const urls = headerText(request.headers, "x-peerurls");
  if (from !== undefined && urls !== "") host.transport.addRemote(from, urls.split(","));
}

export function remoteAddress(request: IncomingMessage): string {
  return `${request.socket.remoteAddress ?? ""}:${request.socket.remotePort ?? ""}`;
}

/** POST /raft. */
export async function handlePipeline(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!allows("POST", request, response) || !admits(host, request, response)) return;
  learnRemote(host, request);
  const local = hexId(host.introduction.localId);
  let body: Buffer;
  try {
    body = await wholeBody(request, PIPELINE_MESSAGE_BYTES_MAX, host.timings.readTimeoutMillis);
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    host.logger.warn("failed to read Raft message", { "local-member-id": local, error: error.message });
    host.metrics.receivedFailures(remoteAddress(request)).add(1);
    sendError(response, 400, "error reading raft message");
    return;
  }
  let message: Message;
  try {
    message = parseMessage(body);
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    host.logger.warn("failed to unmarshal Raft message", { "local-member-id": local, error: error.message });
    host.metrics.receivedFailures(remoteAddress(request)).add(1);
    sendError(response, 400, "error unmarshalling raft message");
    return;
  }
  host.metrics.received(message.from, body.length);
  const refused = receiveChecked(host.receiver, host.introduction, host.logger, message);
  if (refused === undefined) {
    sendNoContent(response);
    return;
  }
  host.logger.warn("failed to process Raft message", { "local-member-id": local, error: refused });
  // etcd means to say 403 here and does not get to it. Nor may we: an etcd member that is told so ends itself for good, also for a
  // message that only came to the wrong address.
  response.setHeader("Connection", "close");
  sendError(response, 500, "error processing raft message");
}

export function sendNoContent(response: ServerResponse): void {
  response.writeHead(204);
  response.end();
}

/** GET /raft/stream/msgapp/FROM and /raft/stream/message/FROM: the answer never ends. */
export function handleStream(
  host: PeerHost,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  if (!allows("GET", request, response)) return;
  response.setHeader("X-Server-Version", host.introduction.serverVersion);
  if (!admits(host, request, response)) return;
  const slash = path.lastIndexOf("/");
  const kind = (["msgappv2", "message"] as const).find((each) => streamPath(each) === path.slice(0, slash));
  const fields = {
    "local-member-id": hexId(host.introduction.localId),
    "remote-peer-id-stream-handler": hexId(host.introduction.localId),
  };
  if (kind === undefined) {
    host.logger.debug("ignored unexpected streaming request path", { ...fields, path });
    sendError(response, 404, "invalid path");
    return;
  }
  const name = path.slice(slash + 1);
  const from = idFromHex(name);
  if (from === undefined) {
    host.logger.warn("failed to parse path into ID", { ...fields, path: name });
    sendError(response, 404, "invalid from");
    return;
  }
  const asker = { ...fields, "remote-peer-id-from": hexId(from) };
  if (host.receiver.isRemoved(from)) {
    host.logger.warn("rejected stream from remote peer because it was removed", asker);
    sendError(response, 410, "removed member");
    return;
  }
  const cluster = { ...asker, "cluster-id": hexId(host.introduction.clusterId) };
  const peer = host.transport.peer(from);
  if (peer === undefined) {
    const urls = headerText(request.headers, "x-peerurls");
    if (urls !== "") host.transport.addRemote(from, urls.split(","));
    host.logger.warn("failed to find remote peer in cluster", cluster);
    sendError(response, 404, "error sender not found");
    return;
  }
  const to = headerText(request.headers, "x-raft-to");
  if (to !== hexId(host.introduction.localId)) {
    host.logger.warn("ignored streaming request; ID mismatch", { ...cluster, "remote-peer-id-header": to });
    sendError(response, 412, "to field mismatch");
    return;
  }
  response.setHeader(CAIRN_HEARTBEAT_HEADER, Math.ceil(host.timings.heartbeatIntervalMillis));
  beginStream(request, response, (socket) => peer.attach(kind as StreamKind).attach(socket));
}

/** The head goes out through node:http, the chunks behind it straight to the socket: a turn's messages in one write. */
function beginStream(
  request: IncomingMessage,
  response: ServerResponse,
  attach: (socket: IncomingMessage["socket"]) => void,
): void {
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor !== 1) {
    sendError(response, 505, "HTTP Version Not Supported");
    return;
  }
  response.setHeader("Transfer-Encoding", "chunked");
  response.writeHead(200);
  response.flushHeaders();
  request.resume();
  attach(request.socket);
}

/** GET /raft/probing; any method, as in etcd. */
export function handleProbing(response: ServerResponse): void {
  const body = Buffer.from(`{"OK":true,"Now":"${new Date().toISOString()}"}\n`);
  response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": body.length });
  response.end(body);
}
