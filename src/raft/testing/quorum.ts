// The command language of the quorum traces: `committed` and `vote` for a majority or a joint configuration, with second
// computations that must agree and are shown when they do not. Test support only.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import { argumentValues, type Directive } from "../../base/testing/datadriven.ts";
import { type JointConfig, jointCommittedIndex, jointIds, jointVoteResult } from "../quorum/joint.ts";
import {
  type AckedIndexer,
  describeAcknowledged,
  describeIndex,
  describeVoteResult,
  EMPTY_MAJORITY,
  type MajorityConfig,
  majorityCommittedIndex,
  majorityOf,
} from "../quorum/majority.ts";

export class AckedMap implements AckedIndexer {
  readonly #acked: ReadonlyMap<MemberId, number>;
  constructor(acked: ReadonlyMap<MemberId, number>) {
    this.#acked = acked;
  }
  ackedIndex(voter: MemberId): number | undefined {
    return this.#acked.get(voter);
  }
}

/** The same result by brute force: the largest acknowledged index that a majority has reached. */
export function dumbCommittedIndex(config: MajorityConfig, acked: AckedIndexer): number {
  if (config.length === 0) return Number.POSITIVE_INFINITY;
  const candidates = config.map((id) => acked.ackedIndex(id) ?? 0);
  const isReached = (index: number): boolean =>
    2 * candidates.filter((other) => other >= index).length > config.length;
  return Math.max(0, ...candidates.filter(isReached));
}

export function runQuorum(directive: Directive): string {
  const incoming = idsOf(directive, "cfg");
  const isJoint = argumentValues(directive, "cfgj").length > 0;
  const outgoing = idsOf(directive, "cfgj");
  const config: JointConfig = { incoming: majorityOf(incoming), outgoing: majorityOf(outgoing) };
  const given = argumentValues(directive, directive.command === "vote" ? "votes" : "idx");
  const voters = majorityOf([...incoming, ...outgoing]);
  if (voters.length !== given.length) {
    const shown = given.map((one) => (one === "_" ? "0" : one === "y" ? "2" : one === "n" ? "1" : one));
    const ids = jointIds(config).map((id) => `${id}:{}`);
    return `error: mismatched input (explicit or _) for voters map[${ids.join(" ")}]: [${shown.join(" ")}]`;
  }
  const byId = new Map<MemberId, string>();
  for (const id of [...incoming, ...outgoing]) {
    if (!byId.has(id)) byId.set(id, given[byId.size] ?? "_");
  }
  switch (directive.command) {
    case "committed":
      return isJoint ? jointCommitted(config, acks(byId)) : majorityCommitted(config.incoming, acks(byId));
    case "vote":
      return vote(config, votes(byId));
    default:
      return "unknown command";
  }
}

function idsOf(directive: Directive, key: string): MemberId[] {
  return argumentValues(directive, key)
    .filter((value) => value !== "zero" && value !== "")
    .map((value) => BigInt(value) as MemberId);
}

function acks(byId: ReadonlyMap<MemberId, string>): AckedMap {
  const acked = new Map<MemberId, number>();
  for (const [id, value] of byId) if (value !== "_") acked.set(id, Number(value));
  return new AckedMap(acked);
}

function votes(byId: ReadonlyMap<MemberId, string>): Map<MemberId, boolean> {
  const result = new Map<MemberId, boolean>();
  for (const [id, value] of byId) {
    assert(value === "y" || value === "n" || value === "_", `unknown vote: ${value}`);
    if (value !== "_") result.set(id, value === "y");
  }
  return result;
}

function majorityCommitted(config: MajorityConfig, acked: AckedMap): string {
  const index = majorityCommittedIndex(config, acked);
  let text = describeAcknowledged(config, acked);
  const check = (other: number, how: string): void => {
    if (other !== index) text += `${describeIndex(other)} <-- ${how}\n`;
  };
  check(dumbCommittedIndex(config, acked), "via alternative computation");
  check(jointCommittedIndex({ incoming: config, outgoing: EMPTY_MAJORITY }, acked), "via zero-joint quorum");
  check(jointCommittedIndex({ incoming: config, outgoing: config }, acked), "via self-joint quorum");
  for (const id of config) {
    const own = acked.ackedIndex(id) ?? 0;
    if (own === 0 || index <= own) continue;
    // Whoever is behind the committed index may fall back further without effect.
    for (const lower of [own - 1, 0]) {
      check(majorityCommittedIndex(config, overlay(config, acked, id, lower)), `overlaying ${id}->${lower}`);
    }
  }
  return `${text}${describeIndex(index)}\n`;
}

function overlay(config: MajorityConfig, acked: AckedMap, id: MemberId, index: number): AckedMap {
  const changed = new Map<MemberId, number>();
  for (const other of config) {
    const value = other === id ? index : acked.ackedIndex(other);
    if (value !== undefined) changed.set(other, value);
  }
  return new AckedMap(changed);
}

function jointCommitted(config: JointConfig, acked: AckedMap): string {
  const index = jointCommittedIndex(config, acked);
  const swapped = jointCommittedIndex({ incoming: config.outgoing, outgoing: config.incoming }, acked);
  const check = swapped === index ? "" : `${describeIndex(swapped)} <-- via symmetry\n`;
  return `${describeAcknowledged(jointIds(config), acked)}${check}${describeIndex(index)}\n`;
}

function vote(config: JointConfig, cast: ReadonlyMap<MemberId, boolean>): string {
  const result = jointVoteResult(config, cast);
  const swapped = jointVoteResult({ incoming: config.outgoing, outgoing: config.incoming }, cast);
  const check = swapped === result ? "" : `${describeVoteResult(swapped)} <-- via symmetry\n`;
  return `${check}${describeVoteResult(result)}\n`;
}
