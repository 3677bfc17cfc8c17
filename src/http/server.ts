// A node:http server with etcd's limits around one of the handlers. It may listen itself, or be handed sockets that the gRPC
// listener found to speak HTTP/1.1: `server.emit("connection", socket)`, with the bytes already read pushed back by unshift.
import { createServer, type Server } from "node:http";
import type { RequestHandler } from "./handler.ts";

/** Go's DefaultMaxHeaderBytes. */
const HEADER_BYTES_MAX = 1024 * 1024;
/** etcd's ReadHeaderTimeout; idle connections are kept as long. */
const HEADER_TIMEOUT_MILLIS = 5 * 60 * 1000;
/** How often Node looks for connections that are too slow. */
const CHECK_INTERVAL_MILLIS = 30 * 1000;

export type HttpLimits = { readonly headerTimeoutMillis: number; readonly checkIntervalMillis: number };

const LIMITS: HttpLimits = {
  headerTimeoutMillis: HEADER_TIMEOUT_MILLIS,
  checkIntervalMillis: CHECK_INTERVAL_MILLIS,
};

export function createHttpServer(handler: RequestHandler, limits: HttpLimits = LIMITS): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: limits.headerTimeoutMillis,
      keepAliveTimeout: limits.headerTimeoutMillis,
      connectionsCheckingInterval: limits.checkIntervalMillis,
      // Profiles and watches through the gateway last as long as they last.
      requestTimeout: 0,
    },
    handler,
  );
  server.on("clientError", (error, socket) => {
    const status = refusal(error);
    if (status === undefined || !socket.writable) {
      socket.destroy();
      return;
    }
    const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n`;
    socket.end(head + status);
  });
  // Node starts to look for slow connections when it listens. A server that only gets sockets handed over never does, and would
  // keep a client that sends half a header for ever.
  server.emit("listening");
  return server;
}

/** Go's answer to bytes that are no request; none for a connection that was lost or too slow. */
function refusal(error: Error): string | undefined {
  switch ("code" in error ? error.code : undefined) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
    case "ECONNRESET":
    case "EPIPE":
      return undefined;
    case "HPE_HEADER_OVERFLOW":
      return "431 Request Header Fields Too Large";
    default:
      return "400 Bad Request";
  }
}
