// `cairn heal`: the command line of heal-steps.ts. Endpoints, TLS and authentication are etcdctl's flags and variables. Called by bin/cairn.

import { clusterId, memberId } from "../base/brand.ts";
import {
  type Command,
  type CommandSpec,
  commandTree,
  ExitError,
  execute,
  type Invocation,
} from "../cli/command.ts";
import type { Client } from "../client/client.ts";
import { RpcError } from "../client/errors.ts";
import { nodeDisk } from "../node/disk.ts";
import { AlarmType } from "../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext } from "./context.ts";
import { SilentExit } from "./environment.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";
import { type HealCluster, HealError, type HealMember, heal } from "./heal-steps.ts";
import { string } from "./specs.ts";

const LONG = `
Gives a member whose data differs from the others' (a CORRUPT alarm names it), or whose
directory is corrupt, the data of its cluster. Run it where the member's directory is, with
the member stopped; then start the member with its usual flags.

It replaces the member by itself: removes it through --endpoints, adds it anew with the same
peer URLs as a learner, and renames <data-dir>/member to <data-dir>/member.healed-<old id>;
nothing is deleted. The started member gets its data from the leader, is promoted, compared
with the others, and takes back the CORRUPT alarm that named it.

It refuses when the other voters are no quorum without this member. When it is cut off at any
point, run it again with the same flags.`;

/** Membership is not changed before the others have been connected for some seconds. */
const UNHEALTHY_LIMIT_MILLIS = 30_000;
const RETRY_MILLIS = 1000;

const HEAL: CommandSpec = {
  use: "heal --data-dir DIR --endpoints URLS",
  short: "Replaces a corrupt member by one with the others' data",
  long: LONG,
  example: "  cairn heal --data-dir /var/lib/etcd --endpoints https://10.0.0.2:2379,https://10.0.0.3:2379",
  flags: [
    string("data-dir", "the stopped member's data directory"),
    string("wal-dir", "its --wal-dir, if it has one"),
    string("member-id", "the member's id in hexadecimal, when its directory cannot tell"),
  ],
  run,
};

const ROOT: CommandSpec = {
  use: "cairn",
  short: "etcd, written anew",
  persistentFlags: GLOBAL_FLAGS.map((flag) => ({ ...flag, hidden: false })),
  commands: [HEAL],
};

export async function main(words: readonly string[]): Promise<number> {
  const tree: Command = commandTree(ROOT, {});
  const output = {
    out: (text: string | Uint8Array) => void process.stdout.write(text),
    err: (text: string) => void process.stderr.write(text),
  };
  try {
    return (await execute(tree, words, output)).code;
  } catch (error) {
    if (error instanceof SilentExit) return error.code;
    throw error;
  }
}

async function run(invocation: Invocation): Promise<void> {
  const { flags, output } = invocation;
  const dataDirectory = flags.string("data-dir");
  if (dataDirectory === "") throw new ExitError(128, "--data-dir is needed");
  const id = flags.string("member-id").replace(/^0x/, "");
  if (id !== "" && !/^[0-9a-fA-F]{1,16}$/.test(id))
    throw new ExitError(128, `bad member ID arg, expecting ID in Hex`);
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = {
    dataDirectory,
    walDirectory: flags.string("wal-dir"),
    memberId: id === "" ? undefined : memberId(BigInt(`0x${id}`)),
  };
  try {
    await heal(options, clusterOf(client, context), nodeDisk(), (line) => output.out(`${line}\n`));
  } catch (error) {
    if (!(error instanceof HealError) && !(error instanceof RpcError)) throw error;
    const again = error instanceof RpcError ? "; run cairn heal again with the same flags" : "";
    throw new ExitError(1, `${error.message}${again}`);
  } finally {
    client.close();
  }
}

function clusterOf(client: Client, context: Context): HealCluster {
  const { timeoutMillis } = context;
  return {
    members: async () => {
      const { header, members } = await client.cluster.memberList({ timeoutMillis });
      return { clusterId: clusterId(header!.clusterId), members: members.map(memberOf) };
    },
    corrupt: async () => {
      const { alarms } = await client.maintenance.alarmList({ timeoutMillis });
      return alarms.filter(({ alarm }) => alarm === AlarmType.CORRUPT).map(({ memberId: named }) => named);
    },
    isHealthy: (member) => isHealthy(context, member),
    remove: async (id) => void (await patiently(() => client.cluster.memberRemove(id, { timeoutMillis }))),
    addLearner: async (peerUrls) => {
      const added = await patiently(() =>
        client.cluster.memberAdd(peerUrls, { isLearner: true, timeoutMillis }),
      );
      return memberId(added.member!.id);
    },
  };
}

function memberOf(member: {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}): HealMember {
  const { name, peerUrls, clientUrls, isLearner } = member;
  return { id: memberId(member.id), name, peerUrls, clientUrls, isLearner };
}

async function isHealthy(context: Context, { clientUrls }: HealMember): Promise<boolean> {
  for (const url of clientUrls) {
    const client = await connect(context, url);
    try {
      const { leader } = await client.maintenance.status({ timeoutMillis: context.timeoutMillis });
      if (leader !== 0n) return true;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
    } finally {
      client.close();
    }
  }
  return false;
}

async function patiently<T>(change: () => Promise<T>): Promise<T> {
  const end = Date.now() + UNHEALTHY_LIMIT_MILLIS;
  for (;;) {
    try {
      return await change();
    } catch (error) {
      const passing =
        error instanceof RpcError && /unhealthy cluster|not enough started members/.test(error.message);
      if (!passing || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS));
    }
  }
}
