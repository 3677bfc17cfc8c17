// Responses of apply as lines of text, for its data-driven tests.
import { latin1FromBytes } from "../../base/bytes.ts";
import type { ResponseOp, TxnResponse } from "../../wire/generated/etcdserverpb.ts";
import type { KeyValue } from "../../wire/generated/mvccpb.ts";
import type { Response } from "../applier.ts";

export function showResponse(response: Response): string[] {
  const revision = response.header === undefined ? "" : ` revision ${response.header.revision}`;
  if ("responses" in response) return showTxn(response, revision);
  if ("deleted" in response)
    return [`deleted ${response.deleted}${revision}`, ...response.prevKvs.map((kv) => `  was ${showKv(kv)}`)];
  if ("alarms" in response)
    return [
      `alarms: ${response.alarms.map(({ memberId, alarm }) => `${memberId}:${alarm}`).join(" ") || "none"}`,
    ];
  if ("ttl" in response) return [`lease ${response.id} ttl ${response.ttl}${revision}`];
  if ("prevKv" in response && response.prevKv !== undefined)
    return [`ok${revision}`, `  was ${showKv(response.prevKv)}`];
  return [`ok${revision}`];
}

function showTxn(txn: TxnResponse, revision: string): string[] {
  const lines = [`${txn.succeeded ? "succeeded" : "failed"}${revision}`];
  for (const op of txn.responses) lines.push(...showOp(op).map((line) => `  ${line}`));
  return lines;
}

function showOp({ response: op }: ResponseOp): string[] {
  if (op?.case === "responseRange") {
    const { kvs, count, more } = op.value;
    return [
      `range ${count}${more ? ", more" : ""} revision ${op.value.header!.revision}`,
      ...kvs.map((kv) => `  ${showKv(kv)}`),
    ];
  }
  return op === undefined ? ["nothing"] : showResponse(op.value);
}

function showKv(kv: KeyValue): string {
  const lease = kv.lease === 0n ? "" : ` lease ${kv.lease}`;
  const numbers = `create ${kv.createRevision} mod ${kv.modRevision} version ${kv.version}`;
  return `${latin1FromBytes(kv.key)}=${latin1FromBytes(kv.value)} ${numbers}${lease}`;
}
