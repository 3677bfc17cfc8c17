// A node:http server with etcd's limits around one of the handlers. It may listen itself, or be handed sockets that the gRPC
// listener found to speak HTTP/1.1: `server.emit("connection", socket)`, with the bytes already read pushed back by unshift.
import { createServer, type Server } from "node:http";
import type { RequestHandler } from "./handler.ts";

/** Go's DefaultMaxHeaderBytes. */
const HEADER_BYTES_MAX = 1024 * 1024;
/** etcd's ReadHeaderTimeout; idle connections are kept as long. */
const HEADER_TIMEOUT_MILLIS = 5 * 60 * 1000;

export function createHttpServer(handler: RequestHandler): Server {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADER_TIMEOUT_MILLIS,
      keepAliveTimeout: HEADER_TIMEOUT_MILLIS,
      // Profiles and watches through the gateway last as long as they last.
      requestTimeout: 0,
    },
    handler,
  );
  server.on("clientError", (_error, socket) => {
    if (socket.writable)
      socket.end(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request",
      );
    else socket.destroy();
  });
  return server;
}
