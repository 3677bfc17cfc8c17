// A real member with its services on a simulated disk and clock, for the services' tests: calls without a network, time that the test
// moves. Nothing happens between two steps, so a test sees every state it wants to see. Tests only.
import assert from "node:assert/strict";
import type { EtcdError } from "../base/errors.ts";
import type { MemberOptions } from "../member/options.ts";
import { nodeDigest } from "../node/digest.ts";
import type { Digest } from "../ports/digest.ts";
import { putRequest } from "../sim/client.ts";
import { SimClock } from "../sim/clock.ts";
import { Machine, SIM_MEMBER_OPTIONS } from "../sim/machine.ts";
import { SeededRandom } from "../sim/random.ts";
import type { RecordedCall, RecordedCallOptions } from "../sim/recorded-call.ts";
import { decodePutResponse, encodePutRequest } from "../wire/generated/etcdserverpb.ts";
import type { RequestStream } from "./call.ts";

export class Serving {
  readonly clock = new SimClock();
  readonly machine: Machine;

  constructor(options: Partial<MemberOptions> = {}, digest: Digest = nodeDigest()) {
    this.machine = new Machine({
      clock: this.clock,
      random: new SeededRandom(1),
      digest,
      member: { ...SIM_MEMBER_OPTIONS, ...options },
    });
  }

  static async start(options: Partial<MemberOptions> = {}, digest?: Digest): Promise<Serving> {
    const serving = new Serving(options, digest);
    await serving.boot();
    return serving;
  }

  async boot(): Promise<void> {
    await this.until(this.machine.start());
  }

  /** Lets things happen until the promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    for (let steps = 0; !settled; steps++) {
      assert.ok(steps < 100_000, "what is waited for happens");
      await new Promise((resolve) => setImmediate(resolve));
      if (!settled) this.clock.step();
    }
    return promise;
  }

  /** Lets so much time pass. */
  async pass(millis: number): Promise<void> {
    let over = false;
    this.clock.after(millis as never, () => {
      over = true;
    });
    while (!over) {
      this.clock.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Begins a call and does not wait. `reading: false` plays a reader that has not begun to read. */
  begin(method: string, message: Uint8Array, options: RecordedCallOptions = {}): RecordedCall {
    const call = this.machine.call(pathOf(method), message, () => {}, options);
    assert.ok(call !== undefined);
    return call;
  }

  /** A call's one answer, or its error. */
  async call<T>(
    method: string,
    message: Uint8Array,
    decode: (bytes: Uint8Array) => T,
  ): Promise<T | EtcdError> {
    const call = this.begin(method, message);
    await this.until(call.ended);
    return call.error ?? decode(call.messages[0]!);
  }

  async fails(method: string, message: Uint8Array): Promise<string> {
    const call = this.begin(method, message);
    await this.until(call.ended);
    return `${call.error?.code} ${call.error?.message}`;
  }

  async put(key: string, value: string): Promise<number> {
    const request = encodePutRequest(putRequest(key, value));
    const response = await this.call("KV/Put", request, decodePutResponse);
    assert.ok("header" in response, "the put is accepted");
    return response.header!.revision;
  }

  open(method: string, options: RecordedCallOptions = {}): { call: RecordedCall; requests: RequestStream } {
    const opened = this.machine.open(pathOf(method), options, () => {});
    assert.ok(opened !== undefined);
    return opened;
  }
}

function pathOf(method: string): string {
  return method.startsWith("/") ? method : `/etcdserverpb.${method}`;
}
