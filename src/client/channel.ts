// The endpoints of a client as one: connections to all of them, calls given out in turn to those that are ready, and waiting
// while none is.
import { Connection, type ConnectionSettings } from "./connection.ts";
import { parseEndpoint } from "./endpoint.ts";
import { canceled, deadlineExceeded, type RpcError } from "./errors.ts";

type Waiter = { ready(connection: Connection): void; gone(): void };

export class Channel {
  readonly #settings: ConnectionSettings;
  #connections: Connection[] = [];
  readonly #waiters = new Set<Waiter>();
  #next = 0;
  #closed = false;

  constructor(endpoints: readonly string[], settings: ConnectionSettings) {
    this.#settings = settings;
    this.setEndpoints(endpoints);
  }

  get endpoints(): string[] {
    return this.#connections.map((connection) => connection.endpoint.text);
  }

  /** Connections to endpoints that stay are kept. */
  setEndpoints(endpoints: readonly string[]): void {
    const before = this.#connections;
    this.#connections = endpoints.map((text) => {
      const kept = before.find((connection) => connection.endpoint.text === text);
      return kept ?? new Connection(parseEndpoint(text), this.#settings, () => this.#changed());
    });
    for (const connection of before) if (!this.#connections.includes(connection)) connection.close();
    if (this.#waiters.size > 0) this.#wake();
  }

  #wake(): void {
    for (const connection of this.#connections) connection.wake();
  }

  #changed(): void {
    if (this.#closed) return;
    for (const waiter of [...this.#waiters]) {
      const connection = this.#pick();
      if (connection === undefined) break;
      this.#waiters.delete(waiter);
      waiter.ready(connection);
    }
    if (this.#waiters.size > 0) this.#wake();
  }

  #pick(): Connection | undefined {
    const count = this.#connections.length;
    for (let i = 0; i < count; i++) {
      const connection = this.#connections[this.#next++ % count]!;
      if (connection.ready) return connection;
    }
    return undefined;
  }

  /** Why nothing is ready, as grpc-go's balancer words it. */
  #lastError(): string {
    const failed = this.#connections.find((connection) => connection.lastError !== "");
    if (failed === undefined)
      return "received context error while waiting for new LB policy update: context deadline exceeded";
    return `latest balancer error: ${failed.lastError}`;
  }

  /**
   * A ready connection, waited for until the deadline (Date.now milliseconds). Also connects the other endpoints, so that the
   * next calls go round.
   */
  ready(deadline: number, signal: AbortSignal | undefined): Promise<Connection> {
    if (this.#closed || signal?.aborted === true) return Promise.reject(canceled());
    this.#wake();
    const connection = this.#pick();
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#waiters.delete(waiter);
      };
      const refuse = (error: RpcError): void => {
        settle();
        reject(error);
      };
      const abort = (): void => refuse(canceled());
      const waiter: Waiter = {
        ready: (found) => {
          settle();
          resolve(found);
        },
        gone: abort,
      };
      // Without a deadline a timer still stands, so that a process that only waits does not end.
      const left = Number.isFinite(deadline) ? Math.max(0, deadline - Date.now()) : 2 ** 31 - 1;
      timer = setTimeout(() => refuse(deadlineExceeded(this.#lastError())), left);
      signal?.addEventListener("abort", abort);
      this.#waiters.add(waiter);
    });
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
    for (const waiter of [...this.#waiters]) waiter.gone();
  }
}
