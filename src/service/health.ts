// grpc.health.v1: the service "" is SERVING from the start until the member stops; other names are not known here.
import { errors } from "../base/errors.ts";
import {
  decodeHealthCheckRequest,
  encodeHealthCheckResponse,
  ServingStatus,
} from "../wire/generated/health.ts";
import type { Method, ServerCall } from "./call.ts";
import { guarded, unary } from "./kv.ts";

export class HealthService {
  #status: number = ServingStatus.SERVING;
  readonly #watchers = new Set<ServerCall>();

  methods(): [string, Method][] {
    return [
      ["/grpc.health.v1.Health/Check", unary((call, message) => this.#check(call, message))],
      [
        "/grpc.health.v1.Health/Watch",
        { kind: "server-stream", handle: guarded((call, message) => this.#watch(call, message)) },
      ],
    ];
  }

  /** Tells every watcher. Called when the member begins to stop, and around a defragmentation where the gate asks for it. */
  setServing(serving: boolean): void {
    const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    if (status === this.#status) return;
    this.#status = status;
    for (const call of this.#watchers) call.send(encodeHealthCheckResponse({ status }));
  }

  #check(call: ServerCall, message: Uint8Array): void {
    if (decodeHealthCheckRequest(message).service !== "") {
      call.fail(errors.unknownService);
      return;
    }
    call.send(encodeHealthCheckResponse({ status: this.#status }));
    call.end();
  }

  /** A name that is not known is watched all the same: it might come to be. */
  #watch(call: ServerCall, message: Uint8Array): void {
    const known = decodeHealthCheckRequest(message).service === "";
    call.send(encodeHealthCheckResponse({ status: known ? this.#status : ServingStatus.SERVICE_UNKNOWN }));
    if (!known) return;
    this.#watchers.add(call);
    call.onCancel = () => this.#watchers.delete(call);
  }
}
