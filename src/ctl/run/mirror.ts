// make-mirror: copies a prefix to another cluster and follows its changes, revision by revision.

import { errors } from "../../base/errors.ts";
import type { Client } from "../../client/client.ts";
import { RpcError } from "../../client/errors.ts";
import { op } from "../../client/kv.ts";
import {
  createTxnRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
} from "../../wire/generated/etcdserverpb.ts";
import { EventType } from "../../wire/generated/mvccpb.ts";
import { connect, connectWith, credentialsOf, openContext, tlsOf } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import type { Run } from "../specs.ts";

const REPORT_MILLIS = 30_000;
const PAGE_KEYS = 1000;

type Plan = {
  readonly source: Client;
  readonly destination: Client;
  readonly prefix: string;
  /** Key → where it goes. */
  readonly rename: (key: Uint8Array) => Uint8Array;
  readonly opsMax: number;
  total: number;
};

/** Replaces the first occurrence, as etcdctl does. */
function renamer(from: string, to: string): (key: Uint8Array) => Uint8Array {
  const [old, fresh] = [Buffer.from(from), Buffer.from(to)];
  return (key) => {
    const bytes = Buffer.from(key.buffer, key.byteOffset, key.length);
    const at = bytes.indexOf(old);
    if (at < 0) return key;
    return Buffer.concat([bytes.subarray(0, at), fresh, bytes.subarray(at + old.length)]);
  };
}

/** Everything under the prefix as it is now. Returns the revision it was read at. */
async function copyBase(plan: Plan): Promise<number> {
  const { source, destination, prefix } = plan;
  const revision = (await source.kv.get("foo")).header!.revision;
  let from: Uint8Array = Buffer.from(prefix === "" ? "\0" : prefix);
  const { rangeEnd } = (await import("../../client/keys.ts")).rangeOf(prefix, { prefix: true });
  for (;;) {
    const page = await source.kv.get(from, {
      rangeEnd,
      revision,
      limit: PAGE_KEYS,
      sortTarget: SortTarget.KEY,
      sortOrder: SortOrder.ASCEND,
    });
    for (const { key, value } of page.kvs) {
      await destination.kv.put(plan.rename(key), value);
      plan.total++;
    }
    if (!page.more) return revision;
    from = Buffer.concat([page.kvs[page.kvs.length - 1]!.key, Uint8Array.of(0)]);
  }
}

async function commit(destination: Client, ops: RequestOp[]): Promise<void> {
  const txn = createTxnRequest();
  txn.success.push(...ops);
  await destination.kv.txn(txn);
}

async function follow(plan: Plan, revision: number): Promise<void> {
  const watcher = plan.source.watch(plan.prefix, { prefix: true, revision: revision + 1 });
  for await (const response of watcher) {
    if (response.compactRevision !== 0) throw new RpcError(errors.compacted.code, errors.compacted.message);
    let last = 0;
    let ops: RequestOp[] = [];
    for (const event of response.events) {
      const kv = event.kv!;
      if ((last !== 0 && kv.modRevision > last) || ops.length === plan.opsMax) {
        await commit(plan.destination, ops);
        ops = [];
      }
      last = kv.modRevision;
      const key = plan.rename(kv.key);
      ops.push(event.type === EventType.DELETE ? op.delete(key) : op.put(key, kv.value));
      plan.total++;
    }
    if (ops.length > 0) await commit(plan.destination, ops);
  }
}

export const run: Run = async (invocation) => {
  const { args, flags, output } = invocation;
  if (args.length !== 1) fail(Exit.BadArgs, "make-mirror takes one destination argument");
  const user = await credentialsOf(
    flags.string("dest-user"),
    flags.string("dest-password"),
    "Destination Password: ",
  );
  const tls = await tlsOf({
    cert: flags.string("dest-cert"),
    key: flags.string("dest-key"),
    cacert: flags.string("dest-cacert"),
    serverName: "",
    insecureTransport: flags.bool("dest-insecure-transport"),
    insecureSkipVerify: false,
  });
  const destination = await connectWith({
    endpoints: [args[0]!],
    ...(tls === undefined ? {} : { tls }),
    ...user,
    dialTimeoutMillis: flags.durationMillis("dial-timeout"),
    keepaliveTimeMillis: flags.durationMillis("keepalive-time"),
    keepaliveTimeoutMillis: flags.durationMillis("keepalive-timeout"),
    sendBytesMax: flags.number("max-request-bytes"),
    receiveBytesMax: flags.number("max-recv-bytes"),
  });
  const context = await openContext(invocation);
  const source = await connect(context);
  const prefix = flags.string("prefix");
  const noPrefix = flags.bool("no-dest-prefix");
  const given = flags.string("dest-prefix");
  if (noPrefix && given !== "") {
    fail(Exit.BadArgs, "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one");
  }
  const start = Math.max(0, flags.number("rev") - 1);
  // With a revision to start at there is no base, and the destination's prefix is what was given, even when that is nothing.
  const target = start === 0 && !noPrefix && given === "" ? prefix : given;
  const plan: Plan = {
    source,
    destination,
    prefix,
    rename: renamer(prefix, target),
    opsMax: flags.number("max-txn-ops"),
    total: 0,
  };
  const report = setInterval(() => output.out(`${plan.total}\n`), REPORT_MILLIS);
  try {
    await follow(plan, start === 0 ? await copyBase(plan) : start);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    fail(Exit.Error, error.message);
  } finally {
    clearInterval(report);
  }
  fail(Exit.Error, "<nil>");
};
