// The node:http server behind the peer listeners: etcd's time limits for connections between members, and an answer for those who call
// before there is a member. Gets sockets handed over; a request that is under way ends with the server.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { sendError } from "../node/http-reply.ts";
import type { PeerHandler } from "./handler.ts";
import type { PeerTimings } from "./limits.ts";

/** Go's DefaultMaxHeaderBytes. */
const HEADER_BYTES_MAX = 1024 * 1024;

export class PeerServer {
  readonly #server: Server;
  #handler: PeerHandler = notYet;

  constructor(timings: PeerTimings) {
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: timings.readTimeoutMillis,
        // Probes come more often, and so keep the pipeline's connection.
        keepAliveTimeout: timings.readTimeoutMillis,
        connectionsCheckingInterval: timings.readTimeoutMillis,
        // Snapshots last as long as they last; the bodies' readers look after silence.
        requestTimeout: 0,
      },
      (request, response) => this.#handler(request, response),
    );
    this.#server.on("clientError", (error, socket) => {
      const malformed = "code" in error && String(error.code).startsWith("HPE_");
      if (malformed && socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      else socket.destroy();
    });
    // Node looks for slow connections only once it listens, and this server never does.
    this.#server.emit("listening");
  }

  accept(socket: Socket): void {
    this.#server.emit("connection", socket);
  }

  serve(handler: PeerHandler): void {
    this.#handler = handler;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function notYet(_request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("Connection", "close");
  sendError(response, 503, "the member is starting");
}
