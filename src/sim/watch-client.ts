// A watcher on the simulated member that behaves as clientv3 does: it resumes after the last revision it has seen when its stream is
// lost, and goes on behind a compaction that overtook it. It may read slowly. What it sees is recorded for check/watch.ts.
import { latin1ToBytes } from "../base/bytes.ts";
import type { RequestStream } from "../service/call.ts";
import {
  createWatchCreateRequest,
  decodeWatchResponse,
  encodeWatchRequest,
  type WatchResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { Event } from "../wire/generated/mvccpb.ts";
import { type SimContext, sleep } from "./context.ts";
import { type Change, changeOf, type Row, rowOf } from "./history.ts";
import type { Machine } from "./machine.ts";
import type { RecordedCall } from "./recorded-call.ts";

export type WatchOptions = {
  readonly key: string;
  readonly end: string;
  /** 0 = now. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly weight: number;
};

/** One change as it was delivered; `previous` is undefined when none came. */
export type Delivered = {
  readonly revision: number;
  readonly change: Change;
  readonly previous: Row | undefined;
};

export type WatchRecord = {
  readonly options: WatchOptions;
  /** Whole responses, in order. */
  readonly deliveries: Delivered[][];
  /** The first revision it is owed; 0 until the first "created". */
  from: number;
  /** Up to here it may have missed something, because a compaction went by. */
  skippedTo: number;
  /** "Nothing up to `revision` is outstanding", said after so many deliveries. */
  readonly progress: { readonly revision: number; readonly after: number }[];
  /** It went away before the end: what came last is not owed. */
  closed: boolean;
};

const RETRY_MILLIS = 50;

export class WatchClient {
  readonly record: WatchRecord;
  onResponse: ((delivered: readonly Delivered[]) => void) | undefined;
  readonly #sim: SimContext;
  readonly #at: Machine | undefined;
  #call: RecordedCall | undefined;
  #requests: RequestStream | undefined;
  #next: number;
  #partial: Delivered[] = [];
  #slow = false;

  /** `at`: watches this machine whenever it is up. */
  constructor(sim: SimContext, options: WatchOptions, at?: Machine) {
    this.#sim = sim;
    this.#at = at;
    this.#next = options.startRevision;
    this.record = {
      options,
      deliveries: [],
      from: options.startRevision,
      skippedTo: 0,
      progress: [],
      closed: false,
    };
    sim.watches.push(this.record);
  }

  /** The first revision that it has not seen. */
  get next(): number {
    return this.#next;
  }

  /** Keeps the watch up until it is closed. */
  async run(): Promise<void> {
    while (!this.record.closed) {
      await new Promise<void>((resolve) => this.#open(resolve));
      await sleep(this.#sim, RETRY_MILLIS);
    }
  }

  /** Stops or goes on reading. */
  set slow(slow: boolean) {
    this.#slow = slow;
    if (this.#call === undefined) return;
    this.#call.reading = !slow;
    if (!slow) this.#call.read();
  }

  askProgress(): void {
    this.#requests?.message(encodeWatchRequest({ requestUnion: { case: "progressRequest", value: {} } }));
  }

  close(): void {
    this.record.closed = true;
    this.#call?.cancel();
    this.#call = undefined;
  }

  /** `over`: the stream is, or there was nobody to open it. */
  #open(over: () => void): void {
    const { options } = this.record;
    const ended = (): void => {
      this.#lost();
      over();
    };
    const machine = this.#at?.up ? this.#at : this.#sim.serving();
    const opened = machine?.open("/etcdserverpb.Watch/Watch", { weight: options.weight }, ended);
    if (opened === undefined) {
      over();
      return;
    }
    void opened.call.ended.then(ended);
    this.#call = opened.call;
    this.#requests = opened.requests;
    this.#partial = [];
    opened.call.reading = !this.#slow;
    opened.call.onMessage = (message) => this.#receive(decodeWatchResponse(message));
    this.#create();
  }

  #create(): void {
    const { options } = this.record;
    const filters = [...(options.noPut ? [0] : []), ...(options.noDelete ? [1] : [])];
    this.#requests!.message(
      encodeWatchRequest({
        requestUnion: {
          case: "createRequest",
          value: {
            ...createWatchCreateRequest(),
            key: latin1ToBytes(options.key),
            rangeEnd: latin1ToBytes(options.end),
            startRevision: this.#next,
            prevKv: options.prevKv,
            fragment: options.fragment,
            progressNotify: options.progressNotify,
            filters,
          },
        },
      }),
    );
  }

  #lost(): void {
    this.#call = undefined;
    this.#requests = undefined;
  }

  #receive(response: WatchResponse): void {
    if (this.record.closed) return;
    const revision = response.header?.revision ?? 0;
    if (response.created) {
      if (this.#next === 0) this.#next = revision + 1;
      if (this.record.from === 0) this.record.from = this.#next;
    } else if (response.canceled) this.#overtaken(response);
    else if (response.events.length > 0) this.#events(response);
    else if (revision >= this.#next) {
      this.record.progress.push({ revision, after: this.record.deliveries.length });
      // As clientv3: a resumption begins behind what is known to be complete.
      this.#next = revision + 1;
    }
  }

  /** Resumes behind the compaction. Revision `compactRevision` itself may be incomplete by now. */
  #overtaken(response: WatchResponse): void {
    if (response.compactRevision === 0) {
      this.#sim.history.violation(`a watch was canceled: ${response.cancelReason}`);
      return;
    }
    this.record.skippedTo = response.compactRevision;
    this.#next = response.compactRevision + 1;
    this.#create();
  }

  #events(response: WatchResponse): void {
    for (const event of response.events) this.#partial.push(delivered(event));
    if (response.fragment) return;
    const whole = this.#partial;
    this.#partial = [];
    this.record.deliveries.push(whole);
    this.#next = Math.max(this.#next, whole[whole.length - 1]!.revision + 1);
    this.onResponse?.(whole);
  }
}

function delivered(event: Event): Delivered {
  const { prevKv } = event;
  return {
    revision: event.kv!.modRevision,
    change: changeOf(event),
    previous: prevKv === undefined ? undefined : rowOf(prevKv),
  };
}

/** The changes of a response by revision, in order. */
export function byRevision(response: readonly Delivered[]): Map<number, Change[]> {
  const revisions = new Map<number, Change[]>();
  for (const { revision, change } of response) {
    const list = revisions.get(revision);
    if (list === undefined) revisions.set(revision, [change]);
    else list.push(change);
  }
  return revisions;
}
