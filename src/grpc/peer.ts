// Who is at the other end of a connection: found out when somebody first asks, then remembered. Kept in connection.peer.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { joinHostPort } from "../base/host-port.ts";
import { commonNameOf } from "../node/peer-certificate.ts";

export class Peer {
  readonly #socket: Socket;
  #address: string | undefined = undefined;
  #commonName: string | undefined = undefined;
  #commonNameKnown = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get secure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** As Go prints it: `127.0.0.1:53412`, `[::1]:53412`, or `@` for a unix socket. */
  get remoteAddress(): string {
    if (this.#address === undefined) {
      const host = this.#socket.remoteAddress;
      const port = this.#socket.remotePort;
      if (host === undefined || port === undefined) this.#address = "@";
      else this.#address = joinHostPort(host, port);
    }
    return this.#address;
  }

  /** Of the client's certificate, which the handshake has verified; undefined without one. */
  get commonName(): string | undefined {
    if (!this.#commonNameKnown) {
      this.#commonNameKnown = true;
      if (this.#socket instanceof TLSSocket && this.#socket.authorized)
        this.#commonName = commonNameOf(this.#socket.getPeerCertificate().subject);
    }
    return this.#commonName;
  }
}
