// The command language of the interaction traces: one command of a trace becomes calls on an InteractionEnv, and the text that
// the trace expects. Test support only.
import { assert } from "../../base/assert.ts";
import type { MemberId } from "../../base/brand.ts";
import { EMPTY, utf8ToBytes } from "../../base/bytes.ts";
import { argumentValues, type Directive, plainNumbers } from "../../base/testing/datadriven.ts";
import { type ConfChange, type ConfChangeV2, confChangesFromString } from "../conf-change.ts";
import { ReadOnlyOption } from "../config.ts";
import { MessageType, newSnapshot } from "../message.ts";
import { jointHas } from "../quorum/joint.ts";
import { describeState } from "../raft.ts";
import { describeProgressMap } from "../tracker/progress.ts";
import type { InteractionEnv, NodeOptions, Recipient, TestNode } from "./interaction-env.ts";

const INFLIGHT_MESSAGES = 0x7fff_ffff;

/** Runs one command and returns what a trace shows below it. */
export function interact(env: InteractionEnv, directive: Directive): string {
  env.output.text = "";
  const problem = run(env, directive);
  if (problem !== undefined) {
    if (env.output.quiet) return problem;
    env.output.text += problem;
  }
  return env.output.text === "" ? "ok" : env.output.text;
}

/** Undefined, or the error that the trace shows. */
function run(env: InteractionEnv, directive: Directive): string | undefined {
  switch (directive.command) {
    case "_breakpoint":
      return undefined;
    case "add-nodes":
      return addNodes(env, directive);
    case "campaign":
      firstNode(env, directive).raw.campaign();
      return undefined;
    case "compact":
      return compact(env, directive);
    case "deliver-msgs":
      return deliverMessages(env, directive);
    case "process-ready":
      return forEachNode(env, directive, "handling Ready", (node) => env.processReady(node));
    case "process-append-thread":
      return forEachNode(env, directive, "processing append thread", (node) => env.processAppendThread(node));
    case "process-apply-thread":
      return forEachNode(env, directive, "processing apply thread", (node) => env.processApplyThread(node));
    case "log-level":
      return env.output.setLevel(directive.args[0]?.key ?? "");
    case "raft-log":
      env.describeLog(firstNode(env, directive));
      return undefined;
    case "raft-state":
      return raftState(env);
    case "set-randomized-election-timeout":
      firstNode(env, directive).raw.setRandomizedElectionTimeout(numberOf(directive, "timeout"));
      return undefined;
    case "stabilize":
      return stabilize(env, directive);
    case "status":
      env.output.write(describeProgressMap(firstNode(env, directive).raw.status().progress));
      return undefined;
    case "tick-election":
      return tick(firstNode(env, directive), "electionTick");
    case "tick-heartbeat":
      return tick(firstNode(env, directive), "heartbeatTick");
    case "transfer-leadership":
      env.node(numberOf(directive, "from")).raw.transferLeader(BigInt(numberOf(directive, "to")) as MemberId);
      return undefined;
    case "forget-leader":
      firstNode(env, directive).raw.forgetLeader();
      return undefined;
    case "send-snapshot":
      return sendSnapshot(env, directive);
    case "propose":
      return firstNode(env, directive).raw.propose(utf8ToBytes(directive.args[1]?.key ?? ""))?.message;
    case "propose-conf-change":
      return proposeConfChange(env, directive);
    case "report-unreachable":
      return reportUnreachable(env, directive);
    default:
      return "unknown command";
  }
}

function firstNode(env: InteractionEnv, directive: Directive): TestNode {
  return env.node(Number(directive.args[0]?.key));
}

function namedNodes(env: InteractionEnv, directive: Directive): TestNode[] {
  return plainNumbers(directive).map((id) => env.node(id));
}

function numberOf(directive: Directive, key: string): number {
  const value = Number(argumentValues(directive, key)[0]);
  assert(Number.isSafeInteger(value), `expected a number for ${key}`);
  return value;
}

function addNodes(env: InteractionEnv, directive: Directive): string | undefined {
  const ids = (key: string): MemberId[] =>
    argumentValues(directive, key).map((one) => BigInt(one) as MemberId);
  const first = (key: string): string | undefined => argumentValues(directive, key)[0];
  const readOnly = first("read-only") ?? "safe";
  if (readOnly !== "safe" && readOnly !== "lease-based") return `invalid read-only option "${readOnly}"`;
  const index = Number(first("index") ?? "0");
  const options: NodeOptions = {
    electionTick: 3,
    heartbeatTick: 1,
    maxSizePerMsg: Number.POSITIVE_INFINITY,
    maxInflightMsgs: Number(first("inflight") ?? INFLIGHT_MESSAGES),
    applied: index,
    asyncStorageWrites: first("async-storage-writes") === "true",
    preVote: first("prevote") === "true",
    checkQuorum: first("checkquorum") === "true",
    maxCommittedSizePerReady: Number(first("max-committed-size-per-ready") ?? "0"),
    disableConfChangeValidation: first("disable-conf-change-validation") === "true",
    readOnlyOption: readOnly === "safe" ? ReadOnlyOption.Safe : ReadOnlyOption.LeaseBased,
    stepDownOnRemoval: first("step-down-on-removal") === "true",
  };
  const confState = {
    voters: ids("voters"),
    learners: ids("learners"),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  const content = utf8ToBytes(first("content") ?? "");
  return env.addNodes(Number(directive.args[0]?.key), options, newSnapshot(index, 0, confState, content));
}

function compact(env: InteractionEnv, directive: Directive): string | undefined {
  const node = firstNode(env, directive);
  if (!node.storage.compact(Number(directive.args[1]?.key))) {
    return "requested index is unavailable due to compaction";
  }
  env.describeLog(node);
  return undefined;
}

function deliverMessages(env: InteractionEnv, directive: Directive): undefined {
  const recipients: Recipient[] = [
    ...plainNumbers(directive).map((id) => ({ id: BigInt(id) as MemberId, drop: false })),
    ...argumentValues(directive, "drop").map((id) => ({ id: BigInt(id) as MemberId, drop: true })),
  ];
  const name = argumentValues(directive, "type")[0];
  const type = name === undefined ? undefined : MessageType[name as keyof typeof MessageType];
  assert(name === undefined || type !== undefined, `unknown message type ${name}`);
  if (env.deliver(type, recipients) === 0) env.output.write("no messages\n");
  return undefined;
}

/** With several nodes each gets a heading. */
function forEachNode(
  env: InteractionEnv,
  directive: Directive,
  what: string,
  body: (node: TestNode) => void,
): undefined {
  const nodes = namedNodes(env, directive);
  for (const node of nodes) {
    if (nodes.length === 1) {
      body(node);
      continue;
    }
    env.output.write(`> ${node.id} ${what}\n`);
    env.output.indent(() => body(node));
  }
  return undefined;
}

function raftState(env: InteractionEnv): undefined {
  for (const node of env.nodes) {
    const { id, softState, hardState, config } = node.raw.status();
    const voter = jointHas(config.voters, id) ? "(Voter)" : "(Non-Voter)";
    env.output.write(
      `${id}: ${describeState(softState.state)} ${voter} Term:${hardState.term} Lead:${softState.lead}\n`,
    );
  }
  return undefined;
}

function stabilize(env: InteractionEnv, directive: Directive): string | undefined {
  const before = env.output.level;
  const level = argumentValues(directive, "log-level")[0];
  const problem = level === undefined ? undefined : env.output.setLevel(level);
  if (problem !== undefined) return problem;
  const nodes = namedNodes(env, directive);
  env.stabilize(nodes.length === 0 ? env.nodes : nodes);
  env.output.level = before;
  return undefined;
}

function tick(node: TestNode, what: "electionTick" | "heartbeatTick"): undefined {
  for (let i = 0; i < node.options[what]; i++) node.raw.tick();
  return undefined;
}

function sendSnapshot(env: InteractionEnv, directive: Directive): undefined {
  const [from, to] = namedNodes(env, directive);
  assert(from !== undefined && to !== undefined, "send-snapshot takes two nodes");
  env.sendSnapshot(from, to);
  return undefined;
}

function proposeConfChange(env: InteractionEnv, directive: Directive): string | undefined {
  const changes = confChangesFromString(directive.input);
  if (typeof changes === "string") return changes;
  const transition = argumentValues(directive, "transition")[0] ?? "auto";
  const number = ["auto", "implicit", "explicit"].indexOf(transition);
  if (number < 0) return `unknown transition ${transition}`;
  let change: ConfChange | ConfChangeV2 = { version: 2, transition: number, changes, context: EMPTY };
  if (argumentValues(directive, "v1")[0] === "true") {
    const [only, more] = changes;
    if (only === undefined || more !== undefined || number !== 0) {
      return "v1 conf change can only have one operation and no transition";
    }
    change = { version: 1, id: 0n, type: only.type, nodeId: only.nodeId, context: EMPTY };
  }
  return firstNode(env, directive).raw.proposeConfChange(change)?.message;
}

function reportUnreachable(env: InteractionEnv, directive: Directive): string | undefined {
  const [on, about] = namedNodes(env, directive);
  if (on === undefined || about === undefined) {
    return "must specify exactly two node indexes: node on which to report, and reported node";
  }
  on.raw.reportUnreachable(about.id);
  return undefined;
}
