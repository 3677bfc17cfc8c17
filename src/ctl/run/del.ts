// del: one key or a range.
import { setTimeout as wait } from "node:timers/promises";
import type { FlagSet } from "../../cli/flag-set.ts";
import { goQuote } from "../../cli/quote.ts";
import { deleteRequest } from "../../client/kv.ts";
import type { DeleteRangeRequest, DeleteRangeResponse } from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { integer } from "../format.ts";
import { fieldsHeader, fieldsKv, type Shown, show, simpleKv } from "../show.ts";
import type { Run } from "../specs.ts";
import { rangeArguments } from "./get.ts";

/** Time to think before a range without --range is deleted. */
const WARNING_MILLIS = 2000;

/** The request of `del`, also inside txn. */
export async function deleteFromArguments(
  flags: FlagSet,
  args: readonly string[],
): Promise<DeleteRangeRequest> {
  if (args.length === 0 || args.length > 2) {
    fail(Exit.BadArgs, "del command needs one argument as key and an optional argument as range_end");
  }
  const prefix = flags.bool("prefix");
  const fromKey = flags.bool("from-key");
  if (prefix && fromKey) {
    fail(Exit.BadArgs, "`--prefix` and `--from-key` cannot be set at the same time, choose one");
  }
  if (args.length > 1) {
    if (prefix || fromKey) {
      fail(
        Exit.BadArgs,
        "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
      );
    }
    if (!flags.bool("range")) {
      process.stderr.write(
        `Warning: Keys between ${goQuote(args[0]!)} and ${goQuote(args[1]!)} will be deleted. Please interrupt the command ` +
          "within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n",
      );
      await wait(WARNING_MILLIS);
    }
  }
  return deleteRequest(args[0]!, { ...rangeArguments(args, prefix, fromKey), prevKv: flags.bool("prev-kv") });
}

export function shownDelete(context: Context, response: DeleteRangeResponse): Shown {
  return {
    type: "etcdserverpb.DeleteRangeResponse",
    message: response,
    simple: () => [
      `${integer(response.deleted)}\n`,
      ...response.prevKvs.flatMap((kv) => simpleKv(context, kv)),
    ],
    fields: () =>
      `${fieldsHeader(context, response.header)}"Deleted" : ${integer(response.deleted)}\n` +
      response.prevKvs.map((kv) => fieldsKv(context, "Prev", kv)).join(""),
  };
}

export const run: Run = async (invocation) => {
  const request = await deleteFromArguments(invocation.flags, invocation.args);
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = {
    rangeEnd: request.rangeEnd,
    prevKv: request.prevKv,
    timeoutMillis: context.timeoutMillis,
  };
  const response = await orExit(client.kv.delete(request.key, options));
  client.close();
  await show(context, shownDelete(context, response));
};
