// Watches: any number of them share one stream, and survive the loss of a connection: each is taken up again at the first
// revision it has not seen. A reader that is slow stops the stream, not the memory's growth.
import { Code, errors } from "../base/errors.ts";
import {
  createWatchCreateRequest,
  createWatchResponse,
  decodeWatchResponse,
  encodeWatchRequest,
  type FilterType,
  type WatchRequestRequestUnion,
  type WatchResponse,
} from "../wire/generated/etcdserverpb.ts";
import type { Call } from "./call.ts";
import { canceled, RpcError } from "./errors.ts";
import { type Bytes, type RangeOptions, rangeOf } from "./keys.ts";
import { decodeMessage, type Rpc, sleep } from "./rpc.ts";

export type WatchOptions = RangeOptions & {
  /** The first revision of interest; 0 = from now on. */
  readonly revision?: number;
  readonly prevKv?: boolean;
  /** Empty responses from time to time, when nothing happens. */
  readonly progressNotify?: boolean;
  readonly filters?: readonly FilterType[];
  /** Lets the server cut responses that are too large; they are put together here. */
  readonly fragment?: boolean;
  /** Ends the watch when the member loses its leader, instead of waiting. */
  readonly requireLeader?: boolean;
};

const NO_ID = -1n;
/** Responses that wait for one reader before the whole stream is paused. */
const BUFFER_RESPONSES_MAX = 1024;
const BACKOFF_MILLIS_MAX = 100;
const PATH = "/etcdserverpb.Watch/Watch";

/** Why a response ends its watch, or undefined. */
export function watchError(response: WatchResponse): RpcError | undefined {
  if (response.compactRevision !== 0) return new RpcError(errors.compacted.code, errors.compacted.message);
  if (!response.canceled) return undefined;
  if (response.cancelReason !== "") return new RpcError(Code.FailedPrecondition, response.cancelReason);
  return new RpcError(errors.futureRevision.code, errors.futureRevision.message);
}

/** One watch. Iterate over it; the loop ends when the watch has ended, and `error` says why if it was not the caller. */
export class Watcher implements AsyncIterable<WatchResponse> {
  readonly request = createWatchCreateRequest();
  id = NO_ID;
  error: RpcError | undefined;
  ended = false;
  fragments: WatchResponse | undefined;
  readonly #stream: WatchStream;
  readonly #buffer: WatchResponse[] = [];
  #waiting: ((result: IteratorResult<WatchResponse, undefined>) => void) | undefined;

  constructor(stream: WatchStream) {
    this.#stream = stream;
  }

  /** Stops the watch. Responses that have arrived can still be read. */
  cancel(): void {
    if (this.ended) return;
    this.end(undefined);
    this.#stream.forget(this);
  }

  get backlogged(): boolean {
    return this.#buffer.length >= BUFFER_RESPONSES_MAX;
  }

  deliver(response: WatchResponse): void {
    if (this.ended) return;
    const events = response.events;
    const last = events[events.length - 1];
    if (last?.kv !== undefined) this.request.startRevision = last.kv.modRevision + 1;
    else if (response.header !== undefined) this.request.startRevision = response.header.revision + 1;
    this.#push(response);
  }

  #push(response: WatchResponse): void {
    const waiting = this.#waiting;
    if (waiting === undefined) this.#buffer.push(response);
    else {
      this.#waiting = undefined;
      waiting({ done: false, value: response });
    }
  }

  /** The last response of a watch that fails says that it is canceled, and why. */
  end(error: RpcError | undefined): void {
    if (this.ended) return;
    if (error !== undefined) {
      const response = createWatchResponse();
      response.canceled = true;
      response.cancelReason = error.description;
      this.error = error;
      this.#push(response);
    }
    this.ended = true;
    this.#waiting?.({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  next(): Promise<IteratorResult<WatchResponse, undefined>> {
    const response = this.#buffer.shift();
    if (response !== undefined) {
      if (this.#buffer.length === BUFFER_RESPONSES_MAX / 2) this.#stream.resumeIfRead();
      return Promise.resolve({ done: false, value: response });
    }
    if (this.ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchResponse, undefined> {
    return {
      next: () => this.next(),
      return: () => {
        this.cancel();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}

/** The shared stream; there is one for each value of requireLeader. */
class WatchStream {
  readonly #rpc: Rpc;
  readonly #requireLeader: boolean;
  readonly #closed: () => void;
  readonly #abort = new AbortController();
  /** In the order of their creation. */
  readonly #watchers = new Set<Watcher>();
  #byId = new Map<bigint, Watcher>();
  /** Asked for and not answered yet: the server answers in order. */
  #pending: Watcher[] = [];
  #call: Call | undefined;
  #paused = false;
  #backoff = 1;
  #progressWanted = 0;

  constructor(rpc: Rpc, requireLeader: boolean, closed: () => void) {
    this.#rpc = rpc;
    this.#requireLeader = requireLeader;
    this.#closed = closed;
    void this.#open();
  }

  add(watcher: Watcher): void {
    this.#watchers.add(watcher);
    if (this.#call !== undefined) this.#create(watcher);
  }

  requestProgress(): void {
    if (this.#call === undefined) this.#progressWanted++;
    else this.#send({ case: "progressRequest", value: {} });
  }

  async #open(): Promise<void> {
    try {
      const listener = {
        onMessage: (bytes: Uint8Array) => this.#message(bytes),
        onEnd: (error: RpcError | undefined) => this.#lost(error),
      };
      const options = { requireLeader: this.#requireLeader, signal: this.#abort.signal };
      const call = await this.#rpc.stream(PATH, listener, options);
      this.#call = call;
      this.#paused = false;
      for (const watcher of this.#watchers) this.#create(watcher);
      for (; this.#progressWanted > 0; this.#progressWanted--) this.requestProgress();
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#lost(error);
    }
  }

  #send(requestUnion: WatchRequestRequestUnion): void {
    this.#call?.send(encodeWatchRequest({ requestUnion }));
  }

  #create(watcher: Watcher): void {
    watcher.id = NO_ID;
    watcher.fragments = undefined;
    this.#pending.push(watcher);
    this.#send({ case: "createRequest", value: watcher.request });
  }

  #message(bytes: Uint8Array): void {
    let response: WatchResponse;
    try {
      response = decodeMessage(bytes, decodeWatchResponse);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.#call?.cancel();
      this.#lost(error);
      return;
    }
    this.#backoff = 1;
    if (response.created) this.#created(response);
    else if (response.canceled && response.compactRevision === 0) this.#canceled(response);
    else this.#events(response);
  }

  #created(response: WatchResponse): void {
    const watcher = this.#pending.shift();
    if (watcher === undefined) return;
    if (response.watchId === NO_ID || (response.canceled && response.cancelReason !== "")) {
      watcher.end(refusal(response));
      this.#remove(watcher);
      return;
    }
    if (watcher.ended) {
      this.#send({ case: "cancelRequest", value: { watchId: response.watchId } });
      return;
    }
    watcher.id = response.watchId;
    this.#byId.set(watcher.id, watcher);
    if (watcher.request.startRevision === 0 && response.header !== undefined) {
      watcher.request.startRevision = response.header.revision + 1;
    }
  }

  #canceled(response: WatchResponse): void {
    const watcher = this.#byId.get(response.watchId);
    if (watcher === undefined) return;
    watcher.end(response.cancelReason === "" ? undefined : refusal(response));
    this.#remove(watcher);
  }

  #events(response: WatchResponse): void {
    if (response.watchId === NO_ID) {
      for (const watcher of this.#byId.values()) this.#deliver(watcher, response);
      return;
    }
    const watcher = this.#byId.get(response.watchId);
    if (watcher === undefined) return;
    const before = watcher.fragments;
    if (before !== undefined) {
      before.events.push(...response.events);
      before.fragment = response.fragment;
    }
    const whole = before ?? response;
    watcher.fragments = whole.fragment ? whole : undefined;
    if (whole.fragment) return;
    this.#deliver(watcher, whole);
    if (watchError(whole) !== undefined) {
      watcher.error = watchError(whole);
      watcher.end(undefined);
      this.#remove(watcher);
    }
  }

  #deliver(watcher: Watcher, response: WatchResponse): void {
    watcher.deliver(response);
    if (watcher.backlogged && !this.#paused) {
      this.#paused = true;
      this.#call?.pause();
    }
  }

  resumeIfRead(): void {
    if (!this.#paused) return;
    for (const watcher of this.#watchers) if (watcher.backlogged) return;
    this.#paused = false;
    this.#call?.resume();
  }

  /** Takes a watch off that its owner has canceled. */
  forget(watcher: Watcher): void {
    if (watcher.id !== NO_ID) this.#send({ case: "cancelRequest", value: { watchId: watcher.id } });
    this.#remove(watcher);
    this.resumeIfRead();
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (watcher.id !== NO_ID) this.#byId.delete(watcher.id);
    if (this.#watchers.size === 0) this.close();
  }

  #lost(error: RpcError | undefined): void {
    if (this.#abort.signal.aborted) return;
    this.#call = undefined;
    this.#byId = new Map();
    this.#pending = [];
    const passing = error?.code === Code.Unavailable || error?.code === Code.Internal;
    if (!passing || error.is(errors.noLeader)) {
      const reason = error ?? new RpcError(Code.Unknown, "EOF", "EOF");
      for (const watcher of [...this.#watchers]) watcher.end(reason);
      this.#watchers.clear();
      this.close();
      return;
    }
    for (const watcher of this.#watchers) watcher.id = NO_ID;
    void this.#reopen();
  }

  async #reopen(): Promise<void> {
    const millis = this.#backoff;
    this.#backoff = Math.min(this.#backoff * 2, BACKOFF_MILLIS_MAX);
    await sleep(millis).then(() => (this.#abort.signal.aborted ? undefined : this.#open()));
  }

  close(): void {
    if (this.#abort.signal.aborted) return;
    this.#closed();
    this.#call?.endRequests();
    this.#abort.abort();
    for (const watcher of this.#watchers) watcher.end(undefined);
    this.#watchers.clear();
  }
}

/** The reason of a refused watch is the text of an error, sometimes that of a whole status. */
function refusal(response: WatchResponse): RpcError {
  const reason = response.cancelReason;
  const known = Object.values(errors).find((error) => reason === error.message);
  if (known !== undefined) return new RpcError(known.code, known.message);
  return new RpcError(Code.FailedPrecondition, reason, reason);
}

export class Watch {
  readonly #rpc: Rpc;
  readonly #streams = new Map<boolean, WatchStream>();
  #closed = false;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  #stream(requireLeader: boolean): WatchStream {
    let stream = this.#streams.get(requireLeader);
    if (stream === undefined) {
      stream = new WatchStream(this.#rpc, requireLeader, () => this.#streams.delete(requireLeader));
      this.#streams.set(requireLeader, stream);
    }
    return stream;
  }

  watch(key: Bytes, options: WatchOptions = {}): Watcher {
    if (this.#closed) throw canceled();
    const stream = this.#stream(options.requireLeader ?? false);
    const watcher = new Watcher(stream);
    Object.assign(watcher.request, rangeOf(key, options));
    watcher.request.startRevision = options.revision ?? 0;
    watcher.request.prevKv = options.prevKv ?? false;
    watcher.request.progressNotify = options.progressNotify ?? false;
    watcher.request.filters = [...(options.filters ?? [])];
    watcher.request.fragment = options.fragment ?? false;
    stream.add(watcher);
    return watcher;
  }

  /** Asks for one response without events, with the revision reached, on every watch of the stream. */
  requestProgress(options?: { readonly requireLeader?: boolean }): void {
    if (this.#closed) throw canceled();
    this.#stream(options?.requireLeader ?? false).requestProgress();
  }

  close(): void {
    this.#closed = true;
    for (const stream of [...this.#streams.values()]) stream.close();
  }
}
