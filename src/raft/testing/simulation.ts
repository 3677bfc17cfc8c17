// A cluster of SimMembers and a network that loses, repeats, reorders and cuts, all drawn from one seed. After the storm everything
// heals, and the members must come to agree again. Test support only.
import { assert, unreachable } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import { EMPTY, utf8ToBytes } from "../../base/bytes.ts";
import { type ConfChangeSingle, ConfChangeTransition, ConfChangeType } from "../conf-change.ts";
import { type ConfState, EntryType, type Message, MessageType, newEntry } from "../message.ts";
import { isJoint } from "../quorum/joint.ts";
import { StateType } from "../raft.ts";
import { SafetyChecker } from "./safety.ts";
import { SimMember, type SimOptions } from "./sim-member.ts";

const NETWORK_MESSAGES_MAX = 400;
const HEAL_ROUNDS = 600;
const SETTLE_ROUNDS = 10_000;

/** Mulberry32: small, seeded, good enough to shake a cluster. Neighbouring seeds begin far apart. */
export function seededRandom(seed: number): (bound: number) => number {
  let state = Math.imul(seed ^ (seed >>> 16), 0x9e3779b1) >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const ACTIONS = [
  "deliver",
  "work",
  "tick",
  "propose",
  "read",
  "transfer",
  "campaign",
  "forget",
  "compact",
  "change",
  "partition",
  "crash",
  "start",
] as const;
type Action = (typeof ACTIONS)[number];
type Weights = Readonly<Record<Action, number>>;

/** Mostly work; now and then something bad. */
const ORDINARY: Weights = {
  deliver: 500,
  work: 330,
  tick: 60,
  propose: 60,
  read: 20,
  transfer: 2,
  campaign: 2,
  forget: 2,
  compact: 4,
  change: 6,
  partition: 3,
  crash: 2,
  start: 8,
};
const THEMES: readonly Weights[] = [
  ORDINARY,
  /** Leaders come and go, as in figure 8 of the paper. */
  { ...ORDINARY, propose: 20, campaign: 12, crash: 12, start: 30, partition: 6 },
  /** Members come and go. */
  { ...ORDINARY, propose: 20, change: 60, transfer: 6, campaign: 4, partition: 10 },
];

export type SimResult = { readonly commits: number; readonly reads: number };

export class Simulation {
  readonly #random: (bound: number) => number;
  readonly #safety = new SafetyChecker();
  readonly #members: readonly SimMember[];
  readonly #changesMembers: boolean;
  readonly #weights: Weights;
  readonly #weightSum: number;
  readonly #lossPercent: number;
  readonly #repeatPercent: number;
  readonly #reorderPercent: number;
  #network: Message[] = [];
  /** Who is on which side of a partition; all zero: everybody hears everybody. */
  #sides: readonly number[];
  /** The lowest index that each read may be answered with. */
  readonly #readsFrom = new Map<string, number>();
  #proposals = 0;
  #answers = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const size = 3 + this.#random(3);
    this.#changesMembers = this.#chance(50);
    this.#weights = THEMES[this.#random(THEMES.length)]!;
    this.#weightSum = ACTIONS.reduce((sum, action) => sum + this.#weights[action], 0);
    this.#lossPercent = this.#random(12);
    this.#repeatPercent = this.#random(12);
    this.#reorderPercent = this.#random(101);
    const options = this.#options();
    const ids = Array.from({ length: size }, (_, i) => BigInt(i + 1) as MemberId);
    this.#members = ids.map((id) => new SimMember(id, options, this.#safety, this.#random));
    this.#sides = ids.map(() => 0);
    // With changing members, the later ones are empty until they are added.
    const founders = this.#changesMembers ? ids.slice(0, 3) : ids;
    const confState: ConfState = {
      voters: founders,
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    for (const member of this.#members) {
      if (founders.includes(member.id)) member.found(confState);
      member.start();
    }
    this.#safety.highestCommit = 2;
  }

  #options(): SimOptions {
    const unlimited = this.#chance(50);
    return {
      electionTick: 10,
      heartbeatTick: 1,
      maxSizePerMsg: unlimited ? Number.POSITIVE_INFINITY : 1 + this.#random(60),
      maxCommittedSizePerReady: unlimited ? Number.POSITIVE_INFINITY : 1 + this.#random(60),
      maxInflightMsgs: 1 + this.#random(8),
      asyncStorageWrites: this.#chance(50),
      preVote: this.#chance(50),
      checkQuorum: this.#chance(50),
      stepDownOnRemoval: this.#chance(50),
      disableProposalForwarding: this.#chance(20),
    };
  }

  #chance(percent: number): boolean {
    return this.#random(100) < percent;
  }

  #anyMember(): SimMember {
    return this.#members[this.#random(this.#members.length)]!;
  }

  run(steps: number): SimResult {
    for (let i = 0; i < steps; i++) this.#storm();
    this.#heal();
    return { commits: this.#safety.commits, reads: this.#answers };
  }

  #storm(): void {
    let dice = this.#random(this.#weightSum);
    for (const action of ACTIONS) {
      dice -= this.#weights[action];
      if (dice < 0) {
        this.#act(action);
        return;
      }
    }
  }

  #act(action: Action): void {
    const member = this.#anyMember();
    const leader = this.#chance(50) ? (this.#leader() ?? member) : member;
    switch (action) {
      case "deliver":
        this.#deliver();
        break;
      case "work":
        this.#work(member, this.#chance(1));
        break;
      case "tick":
        member.with((raw) => raw.tick());
        break;
      case "propose":
        this.#propose(leader);
        break;
      case "read":
        this.#read(member);
        break;
      case "transfer":
        member.with((raw) => raw.transferLeader(this.#anyMember().id));
        break;
      case "campaign":
        member.with((raw) => raw.campaign());
        break;
      case "forget":
        member.with((raw) => raw.forgetLeader());
        break;
      case "compact":
        member.compact(this.#random(5));
        break;
      case "change":
        this.#changeMembers(leader);
        break;
      case "partition":
        this.#partition();
        break;
      case "crash":
        if (leader.running) leader.crash();
        break;
      case "start":
        if (!member.running) member.start();
        break;
      default:
        unreachable(action);
    }
  }

  #work(member: SimMember, crashAfterWrite: boolean): void {
    if (!member.running) return;
    const what = this.#random(3);
    if (what === 0) member.workAppend();
    else if (what === 1) member.workApply();
    else member.work(crashAfterWrite);
    this.#collect(member);
  }

  #collect(member: SimMember): void {
    for (const message of member.outbox) {
      if (this.#network.length < NETWORK_MESSAGES_MAX) this.#network.push(message);
      else this.#lose(message);
    }
    member.outbox = [];
    for (const read of member.reads) {
      const from = this.#readsFrom.get(read.context);
      assert(from !== undefined && read.index >= from, `a read at ${read.index} misses a commit at ${from}`);
      this.#answers++;
    }
    member.reads = [];
  }

  /** Any message may be the next, may be lost, or may come again. */
  #deliver(): void {
    if (this.#network.length === 0) return;
    const at = this.#chance(this.#reorderPercent) ? this.#random(this.#network.length) : 0;
    const message = this.#network[at]!;
    if (!this.#chance(this.#repeatPercent)) this.#network.splice(at, 1);
    if (this.#chance(this.#lossPercent) || this.#isCut(message)) this.#lose(message);
    else this.#hand(message);
  }

  #isCut(message: Message): boolean {
    return this.#sides[Number(message.from) - 1] !== this.#sides[Number(message.to) - 1];
  }

  #hand(message: Message): void {
    const to = this.#members[Number(message.to) - 1];
    if (to === undefined || !to.running) {
      this.#lose(message);
      return;
    }
    to.with((raw) => raw.step(message));
    if (message.type === MessageType.MsgSnap) this.#reportSnapshot(message, false);
  }

  #lose(message: Message): void {
    if (message.type === MessageType.MsgSnap) this.#reportSnapshot(message, true);
    else if (this.#chance(20)) {
      this.#members[Number(message.from) - 1]?.with((raw) => raw.reportUnreachable(message.to));
    }
  }

  #reportSnapshot(message: Message, failed: boolean): void {
    this.#members[Number(message.from) - 1]?.with((raw) => raw.reportSnapshot(message.to, failed));
  }

  #partition(): void {
    const whole = this.#chance(40);
    this.#sides = this.#members.map(() => (whole ? 0 : this.#random(2)));
  }

  #propose(member: SimMember): void {
    const text = utf8ToBytes(`p${this.#proposals++}`);
    if (this.#chance(80)) member.with((raw) => raw.propose(text));
    else {
      const entries = [text, EMPTY, text].map((data) => newEntry(0, 0, EntryType.Normal, data));
      member.with((raw) => raw.proposeAll(entries));
    }
  }

  #read(member: SimMember): void {
    const context = `r${this.#readsFrom.size}`;
    this.#readsFrom.set(context, this.#safety.highestCommit);
    member.with((raw) => raw.readIndex(utf8ToBytes(context)));
  }

  /** Only from the leader's own view: raft makes sure that no other change is under way. */
  #changeMembers(member: SimMember): void {
    if (!this.#changesMembers || !member.running || member.raw.state !== StateType.Leader) return;
    const { voters } = member.raw.status().config;
    if (isJoint(voters)) {
      member.with((raw) => raw.proposeConfChange(undefined));
      return;
    }
    const target = this.#anyMember().id;
    // From two voters to one, the one left may need the vote of the one that went, whose log may be longer: etcd's raft gets stuck
    // there (a change counts when it is applied, not when it is appended), and so do we. Safe, but not for a test of healing.
    const canRemove = voters.incoming.length > 2 || !voters.incoming.includes(target);
    const type = canRemove ? [0, 1, 3][this.#random(3)]! : ConfChangeType.AddNode;
    const first: ConfChangeSingle = { type, nodeId: target };
    if (this.#chance(50)) {
      member.with((raw) =>
        raw.proposeConfChange({ version: 1, id: 0n, type, nodeId: target, context: EMPTY }),
      );
      return;
    }
    // Somebody stays or becomes a voter whatever the first change does.
    const second: ConfChangeSingle = { type: ConfChangeType.AddNode, nodeId: member.id };
    const changes =
      target === member.id ? [first, { ...second, nodeId: this.#otherThan(target) }] : [first, second];
    const transition = [
      ConfChangeTransition.Auto,
      ConfChangeTransition.JointImplicit,
      ConfChangeTransition.JointExplicit,
    ][this.#random(3)]!;
    member.with((raw) => raw.proposeConfChange({ version: 2, transition, changes, context: EMPTY }));
  }

  #otherThan(id: MemberId): MemberId {
    return this.#members.find((member) => member.id !== id)!.id;
  }

  /** Everybody up, nothing lost: within bounded time one leader, one state, for all that take part. */
  #heal(): void {
    this.#sides = this.#members.map(() => 0);
    for (const member of this.#members) if (!member.running) member.start();
    for (let round = 0; round < HEAL_ROUNDS; round++) {
      for (const member of this.#members) member.with((raw) => raw.tick());
      this.#settle();
      if (round % 20 === 10) this.#nudge();
      if (round % 20 === 19 && this.#agrees()) return;
    }
    assert(false, `no agreement after the storm: ${this.#describe()}`);
  }

  #settle(): void {
    let rounds = 0;
    for (let busy = true; busy; ) {
      busy = false;
      assert(rounds++ < SETTLE_ROUNDS, "members do not talk without end when nothing happens");
      for (const member of this.#members) {
        if (member.busy) busy = true;
        member.work(false);
        member.workAppend();
        member.workApply();
        this.#collect(member);
      }
      const messages = this.#network;
      this.#network = [];
      if (messages.length > 0) busy = true;
      for (const message of messages) this.#hand(message);
    }
  }

  #nudge(): void {
    const leader = this.#leader();
    if (leader === undefined) return;
    if (isJoint(leader.raw.status().config.voters)) {
      leader.with((raw) => raw.proposeConfChange(undefined));
    }
    this.#propose(leader);
  }

  #leader(): SimMember | undefined {
    let leader: SimMember | undefined;
    for (const member of this.#members) {
      if (!member.running || member.raw.state !== StateType.Leader) continue;
      if (leader === undefined || leader.raw.term < member.raw.term) leader = member;
    }
    return leader;
  }

  #agrees(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const { config } = leader.raw.status();
    if (isJoint(config.voters) || leader.raw.committed < this.#safety.highestCommit) return false;
    return [...config.voters.incoming, ...config.learners].every((id) => {
      const member = this.#members[Number(id) - 1]!;
      return member.applied === leader.applied && member.raw.lead === leader.id;
    });
  }

  #describe(): string {
    return this.#members
      .map((member) => {
        const { term, lead, state, committed } = member.raw;
        return `${member.id}: state=${state} term=${term} lead=${lead} commit=${committed} applied=${member.applied}`;
      })
      .join("; ");
  }
}
