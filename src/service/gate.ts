// What is asked of a member before any method runs, in the order of etcd's interceptors: does the cluster's version know these calls,
// is this member a learner, has it a leader (for callers that set `hasleader`). While there is a leader and no learner it costs a few
// comparisons per call; metadata is looked at only when streams open and while there is no leader.
import type { Millis } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";
import type { Timer } from "../ports/clock.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { decodeRangeRequest } from "../wire/generated/etcdserverpb.ts";
import type { Method, RequestStream, ServerCall } from "./call.ts";

/** What the gate sees of a member. */
export interface GateMember {
  readonly raft: { readonly leader: bigint };
  readonly membership: {
    readonly version: string | undefined;
    readonly local: { readonly isLearner: boolean } | undefined;
  };
  readonly clock: { after(delay: Millis, callback: () => void): Timer };
  readonly options: { readonly electionMillis: number };
  readonly stopped: boolean;
}

/** Checks without a leader before running streams are cut: reconnecting costs more than waiting (etcd's maxNoLeaderCnt). */
const NO_LEADER_CHECKS = 3;
const STATUS = "/etcdserverpb.Maintenance/Status";
const SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot";
const RANGE = "/etcdserverpb.KV/Range";
/** Cluster versions whose members speak this API. */
const CAPABLE = /^3\.[0-7]\./;

export class Gate {
  readonly #member: GateMember;
  /** Streams whose callers want a leader. Those that ended leave at the next check. */
  readonly #streams = new Set<ServerCall>();
  #timer: Timer | undefined;
  #checksWithoutLeader = 0;
  #version: string | undefined;
  #capable = true;

  constructor(member: GateMember) {
    this.#member = member;
  }

  /** The method behind the gate. */
  guard(path: string, method: Method): [string, Method] {
    if (method.kind === "unary") {
      const { kind, handle } = method;
      const guarded = (call: ServerCall, message: Uint8Array): void => {
        const refused = this.#isOpen ? undefined : this.#refuseUnary(path, call, message);
        if (refused === undefined) handle(call, message);
        else call.fail(refused);
      };
      return [path, { kind, handle: guarded }];
    }
    if (method.kind === "bidi") {
      const { kind, open } = method;
      return [path, { kind, open: (call) => (this.#admits(path, call) ? open(call) : IGNORED) }];
    }
    const { kind, handle } = method;
    const guarded = (call: ServerCall, message: Uint8Array): void => {
      if (this.#admits(path, call)) handle(call, message);
    };
    return [path, { kind, handle: guarded }];
  }

  get #isOpen(): boolean {
    const { raft, membership } = this.#member;
    if (raft.leader === 0n || membership.local?.isLearner === true) return false;
    return membership.version === this.#version ? this.#capable : this.#isCapable();
  }

  #isCapable(): boolean {
    const { version } = this.#member.membership;
    this.#version = version;
    this.#capable = version === undefined || CAPABLE.test(version);
    return this.#capable;
  }

  #refuseUnary(path: string, call: ServerCall, message: Uint8Array): EtcdError | undefined {
    if (!this.#isCapable()) return errors.notCapable;
    const { raft, membership } = this.#member;
    if (membership.local?.isLearner === true && !isForLearners(path, message))
      return errors.notSupportedForLearner;
    return raft.leader === 0n && wantsLeader(call) ? errors.noLeader : undefined;
  }

  #admits(path: string, call: ServerCall): boolean {
    const refused = this.#refuseStream(path, call);
    if (refused === undefined) return true;
    call.fail(refused);
    return false;
  }

  #refuseStream(path: string, call: ServerCall): EtcdError | undefined {
    if (!this.#isCapable()) return errors.notCapable;
    const { raft, membership } = this.#member;
    if (membership.local?.isLearner === true && path !== SNAPSHOT) return errors.notSupportedForLearner;
    if (!wantsLeader(call)) return undefined;
    if (raft.leader === 0n) return errors.noLeader;
    this.#streams.add(call);
    if (this.#timer === undefined) this.#checkLater();
    return undefined;
  }

  #checkLater(): void {
    this.#timer = this.#member.clock.after(this.#member.options.electionMillis as Millis, () => {
      this.#timer = undefined;
      this.#check();
      if (this.#streams.size > 0 && !this.#member.stopped) this.#checkLater();
      else this.#checksWithoutLeader = 0;
    });
  }

  #check(): void {
    for (const call of this.#streams) if (call.done) this.#streams.delete(call);
    if (this.#member.raft.leader !== 0n) {
      this.#checksWithoutLeader = 0;
      return;
    }
    if (++this.#checksWithoutLeader < NO_LEADER_CHECKS) return;
    for (const call of this.#streams) cancel(call);
    this.#streams.clear();
  }
}

/** Ends the call for both sides. */
function cancel(call: ServerCall): void {
  const told = call.onCancel;
  call.onCancel = undefined;
  call.fail(errors.noLeader);
  told?.(errors.noLeader);
}

function wantsLeader(call: ServerCall): boolean {
  return call.metadata("hasleader") === "true";
}

/** A learner answers for its own state alone. */
function isForLearners(path: string, message: Uint8Array): boolean {
  if (path !== RANGE) return path === STATUS;
  try {
    return decodeRangeRequest(message).serializable;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    // The method itself says what is wrong with the message.
    return true;
  }
}

const IGNORED: RequestStream = { message(): void {}, requestsEnded(): void {} };
