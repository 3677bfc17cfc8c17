// compaction: forget old revisions.

import { connect, openContext, orExit } from "../context.ts";
import { Exit, fail, orFail } from "../environment.ts";
import { parseInt64 } from "../format.ts";
import type { Run } from "../specs.ts";

export const run: Run = async (invocation) => {
  const { args, flags, output } = invocation;
  if (args.length !== 1) fail(Exit.BadArgs, "compaction command needs 1 argument");
  const revision = orFail(parseInt64(args[0]!, 10), Exit.Error);
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { physical: flags.bool("physical"), timeoutMillis: context.timeoutMillis };
  await orExit(client.kv.compact(Number(revision), options));
  client.close();
  output.out(`compacted revision ${revision}\n`);
};
