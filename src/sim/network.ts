// The simulated network between members: messages as bytes that take their time, get lost, come twice or in another order, and do not
// come at all where a link is cut, in one direction or both. A member's process is attached when it starts; what it sent before it
// died may still arrive. Proposals never come twice: rafthttp sends them over TCP, and raft does not tell a doubled one apart.
import { assert } from "../base/assert.ts";
import type { MemberId, Millis } from "../base/brand.ts";
import { concatBytes } from "../base/bytes.ts";
import type { Network } from "../member/network/network.ts";
import type { PeerService, SnapshotBody, Transport, TransportReceiver } from "../member/network/transport.ts";
import type { Clock } from "../ports/clock.ts";
import { type Message, MessageType } from "../raft/message.ts";
import { messageFromWire, messageToWire } from "../raft/wire-message.ts";
import { decodeMessage, encodeMessage } from "../wire/generated/raftpb.ts";
import type { SimClock } from "./clock.ts";
import { type Answerer, NO_ANSWER, simPeerClient } from "./peer-client.ts";
import type { SeededRandom } from "./random.ts";

/** What the network is like: times in milliseconds, chances as one in so many (0 = never). */
export type Weather = {
  delayMin: number;
  delayMax: number;
  lossOneIn: number;
  doublingOneIn: number;
  /** Messages of one link overtake each other; otherwise they keep their order, as on one connection. */
  reorders: boolean;
};

export const FAIR_WEATHER: Readonly<Weather> = {
  delayMin: 0.2,
  delayMax: 1,
  lossOneIn: 0,
  doublingOneIn: 0,
  reorders: false,
};

/** A connection counts as broken after so long a silence; members send heartbeats. */
const SILENCE_MILLIS = 1000;
/** How long it takes to notice that nobody is at the other end. */
const REFUSAL_MILLIS = 5;

/** One process on the network. */
type Endpoint = Answerer & {
  readonly peerUrls: readonly string[];
  /** What it hears, it hears when it is not busy and not stopped. */
  readonly clock: Clock;
  alive: boolean;
  /** What a stopped process has sent, as far as it got; it leaves when the process goes on. */
  held: (() => void)[] | undefined;
  /** By sender: since when messages come without a break, and the newest. */
  readonly heard: Map<MemberId, { since: number; last: number }>;
};

export class SimNetwork {
  readonly #clock: SimClock;
  readonly #random: SeededRandom;
  readonly #endpoints = new Map<MemberId, Endpoint>();
  readonly #cut = new Set<string>();
  /** When the last message of each link arrives: the next one of an orderly link does not overtake it. */
  readonly #busyUntil = new Map<string, number>();
  readonly weather: Weather = { ...FAIR_WEATHER };
  readonly counts = { sent: 0, lost: 0, doubled: 0, cut: 0, snapshots: 0, copies: 0 };
  /** Whether members hear of each other that they take copies; else all snapshots are databases, as beside etcd. */
  readonly #tellsCopies: boolean;

  constructor(clock: SimClock, random: SeededRandom) {
    this.#clock = clock;
    this.#random = random;
    this.#tellsCopies = random.once(2);
  }

  /** The network of one process. `close` ends it, as its death does. */
  attach(
    receiver: TransportReceiver,
    service: PeerService,
    peerUrls: readonly string[],
    clock: Clock,
  ): Network & { close(): void; pause(): void; goOn(): void } {
    const endpoint: Endpoint = {
      receiver,
      service,
      peerUrls,
      clock,
      alive: true,
      held: undefined,
      heard: new Map(),
    };
    this.#endpoints.set(receiver.localId, endpoint);
    const close = (): void => {
      endpoint.alive = false;
      if (this.#endpoints.get(receiver.localId) === endpoint) this.#endpoints.delete(receiver.localId);
    };
    return {
      transport: this.#transport(endpoint, close),
      peers: simPeerClient(
        (urls, timeout, question) => this.#ask(endpoint, urls, timeout, question),
        this.#tellsCopies,
      ),
      close,
      pause: () => {
        endpoint.held ??= [];
      },
      goOn: () => {
        const held = endpoint.held ?? [];
        endpoint.held = undefined;
        for (const each of held) each();
      },
    };
  }

  /** Nothing goes from `from` to `to` any more. */
  cut(from: MemberId, to: MemberId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** No two members of different groups hear each other. */
  partition(groups: readonly (readonly MemberId[])[]): void {
    for (const group of groups)
      for (const other of groups)
        if (group !== other) for (const from of group) for (const to of other) this.cut(from, to);
  }

  /** Every link works again, in fair weather. */
  heal(): void {
    this.#cut.clear();
    Object.assign(this.weather, FAIR_WEATHER);
  }

  #transport(endpoint: Endpoint, close: () => void): Transport {
    const { localId } = endpoint.receiver;
    return {
      send: (messages) => {
        for (const message of messages) this.#send(endpoint, message);
      },
      sendSnapshot: (message, body) => {
        void this.#sendSnapshot(endpoint, message, body);
      },
      addPeer: () => {},
      updatePeer: () => {},
      removePeer: () => {},
      activeSince: (id) => {
        const heard = endpoint.heard.get(id);
        if (heard === undefined || this.#clock.now() - heard.last > SILENCE_MILLIS) return undefined;
        return heard.since as Millis;
      },
      close: async () => {
        close();
        this.#endpoints.delete(localId);
      },
    };
  }

  #send(from: Endpoint, message: Message): void {
    const bytes = encodeMessage(messageToWire(message));
    const { to, type } = message;
    if (!from.alive) return;
    if (from.held !== undefined) {
      from.held.push(() => this.#travel(from, to, bytes, type === MessageType.MsgProp));
      return;
    }
    this.#travel(from, to, bytes, type === MessageType.MsgProp);
  }

  #travel(from: Endpoint, to: MemberId, bytes: Uint8Array, once: boolean): void {
    const { lossOneIn, doublingOneIn } = this.weather;
    this.counts.sent++;
    if (lossOneIn > 0 && this.#random.once(lossOneIn)) {
      this.counts.lost++;
      return;
    }
    this.#clock.after(this.#delay(from.receiver.localId, to), () => this.#arrive(from, to, bytes));
    if (once || doublingOneIn === 0 || !this.#random.once(doublingOneIn)) return;
    this.counts.doubled++;
    this.#clock.after(this.#delay(from.receiver.localId, to), () => this.#arrive(from, to, bytes));
  }

  #delay(from: MemberId, to: MemberId): Millis {
    const { delayMin, delayMax, reorders } = this.weather;
    const now = this.#clock.now();
    const at = now + delayMin + (this.#random.below(1000) / 1000) * (delayMax - delayMin);
    if (reorders) return (at - now) as Millis;
    const link = `${from}>${to}`;
    const orderly = Math.max(at, this.#busyUntil.get(link) ?? 0);
    this.#busyUntil.set(link, orderly);
    return (orderly - now) as Millis;
  }

  #arrive(from: Endpoint, to: MemberId, bytes: Uint8Array): void {
    const sender = from.receiver.localId;
    const target = this.#endpoints.get(to);
    if (this.#cut.has(`${sender}>${to}`)) {
      this.counts.cut++;
      return;
    }
    if (target === undefined) {
      this.#clock.after(REFUSAL_MILLIS as Millis, () => {
        if (from.alive) from.clock.endOfTurn(() => from.receiver.reportUnreachable(to));
      });
      return;
    }
    this.#hear(target, sender);
    target.clock.endOfTurn(() => deliver(target, bytes));
  }

  /** A question and its answer, each of which may be lost on the way. */
  #ask<T>(
    from: Endpoint,
    peerUrls: readonly string[],
    timeoutMillis: number,
    question: (answerer: Answerer) => Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      from.clock.after(timeoutMillis as Millis, () => reject(NO_ANSWER));
      const target = [...this.#endpoints.values()].find((each) =>
        each.peerUrls.some((url) => peerUrls.includes(url)),
      );
      const sender = from.receiver.localId;
      if (target === undefined) {
        from.clock.after(REFUSAL_MILLIS as Millis, () => reject(NO_ANSWER));
        return;
      }
      const answerer = target.receiver.localId;
      const back = (answer: () => void): void => this.#carry(answerer, sender, from, answer);
      this.#carry(sender, answerer, target, () => {
        if (!target.alive) return;
        question(target).then(
          (value) => back(() => resolve(value)),
          (error: unknown) => back(() => reject(error)),
        );
      });
    });
  }

  #carry(from: MemberId, to: MemberId, target: Endpoint, happen: () => void): void {
    const { lossOneIn } = this.weather;
    if (lossOneIn > 0 && this.#random.once(lossOneIn)) return;
    this.#clock.after(this.#delay(from, to), () => {
      if (!this.#cut.has(`${from}>${to}`)) target.clock.endOfTurn(happen);
    });
  }

  #hear(target: Endpoint, sender: MemberId): void {
    const now = this.#clock.now();
    const heard = target.heard.get(sender);
    if (heard === undefined || now - heard.last > SILENCE_MILLIS)
      target.heard.set(sender, { since: now, last: now });
    else heard.last = now;
  }

  async #sendSnapshot(from: Endpoint, message: Message, body: SnapshotBody): Promise<void> {
    const sender = from.receiver.localId;
    const { to } = message;
    let failed = true;
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body.chunks()) chunks.push(new Uint8Array(chunk));
      await new Promise<void>((resolve) => this.#clock.after(this.#delay(sender, to), resolve));
      const target = this.#endpoints.get(to);
      const { lossOneIn } = this.weather;
      const lost = lossOneIn > 0 && this.#random.once(lossOneIn);
      if (from.alive && target !== undefined && !lost && !this.#cut.has(`${sender}>${to}`)) {
        await target.receiver.receiveSnapshot(message, once(concatBytes(chunks)));
        this.counts.snapshots++;
        if (body.bytesTotal === undefined) this.counts.copies++;
        failed = false;
      }
    } catch {
      // Refused: the sender is told below.
    } finally {
      body.close();
    }
    if (from.alive) from.receiver.reportSnapshot(to, failed);
  }
}

function deliver(target: Endpoint, bytes: Uint8Array): void {
  if (!target.alive) return;
  const message = messageFromWire(decodeMessage(bytes));
  assert(typeof message !== "string", "members send what members understand");
  target.receiver.receive(message);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
