// What the edge counts: per method the four counters that etcd's metrics have (src/node/metrics-grpc hands in its rows), and
// plain numbers per server, which the owner's metrics read when they are asked for. Written by call and server only.
import type { Counter, Histogram } from "../ports/metrics.ts";
import type { Method } from "../service/call.ts";

export type MethodStats = {
  readonly started: Counter;
  /** Messages. */
  readonly received: Counter;
  readonly sent: Counter;
  /** Calls ended, by gRPC code, 0 to 16. */
  readonly handled: readonly Counter[];
  /** Seconds from a call's start to its status; undefined: nobody asks, and no clock is read. */
  readonly seconds?: Histogram | undefined;
};

/** Gives the row of a method, once per method when the server is made. */
export type MethodStatsSource = (path: string, kind: Method["kind"]) => MethodStats;

const UNCOUNTED: Counter = { add() {} };
const UNCOUNTED_ROW: MethodStats = {
  started: UNCOUNTED,
  received: UNCOUNTED,
  sent: UNCOUNTED,
  handled: new Array<Counter>(17).fill(UNCOUNTED),
};

/** For servers whose methods nobody counts. */
export const uncounted: MethodStatsSource = () => UNCOUNTED_ROW;

/** The cell that counts a request of a client that speaks `version` of the API; asked for once per header block. */
export type ClientRequests = (stream: boolean, version: string) => Counter;

export const uncountedClients: ClientRequests = () => UNCOUNTED;

export class TransportStats {
  connections = 0;
  bytesReceived = 0;
  bytesSent = 0;
}
