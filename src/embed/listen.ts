// One listening socket for the protocols of a URL.
import type { Server as HttpServer } from "node:http";
import { createServer, type Socket } from "node:net";
import type { EndpointUrl } from "../config/urls.ts";
import type { GrpcServer } from "../grpc/server.ts";

export type Listener = { readonly url: string; stop(): void };

export function listen(
  url: EndpointUrl,
  grpc: GrpcServer | undefined,
  http: HttpServer | undefined,
): Promise<Listener> {
  const server = createServer({ noDelay: true, keepAlive: true }, (socket: Socket) => {
    socket.once("data", (head: Buffer) => {
      if (grpc !== undefined && head.subarray(0, 3).toString("latin1") === "PRI") {
        grpc.accept(socket, head);
        return;
      }
      socket.pause();
      socket.unshift(head);
      http?.emit("connection", socket);
      socket.resume();
    });
    socket.on("error", () => socket.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(url.port), url.hostname === "localhost" ? "127.0.0.1" : url.hostname, () => {
      resolve({ url: url.text, stop: () => server.close() });
    });
  });
}
