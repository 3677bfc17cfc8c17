// put: one key, its value from the command line or standard input.
import type { FlagSet } from "../../cli/flag-set.ts";
import type { Bytes } from "../../client/keys.ts";
import { putRequest } from "../../client/kv.ts";
import type { PutRequest, PutResponse } from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail, orFail } from "../environment.ts";
import { parseInt64 } from "../format.ts";
import { fieldsHeader, fieldsKv, type Shown, show, simpleKv } from "../show.ts";
import type { Run } from "../specs.ts";
import { readAllInput } from "../terminal.ts";

const USAGE = "put command needs 1 argument and input from stdin or 2 arguments";

/** The request of `put`, also inside txn. `input` gives the value when the arguments do not. */
export async function putFromArguments(
  flags: FlagSet,
  args: readonly string[],
  input: () => Promise<Uint8Array>,
): Promise<PutRequest> {
  if (args.length === 0) fail(Exit.BadArgs, USAGE);
  const ignoreValue = flags.bool("ignore-value");
  if (ignoreValue && args.length > 1) {
    fail(Exit.BadArgs, "put command needs only 1 argument when 'ignore-value' is set");
  }
  let value: Bytes = "";
  if (!ignoreValue) {
    value = args[1] ?? (await input());
    if (args.length < 2 && value.length === 0) fail(Exit.BadArgs, USAGE);
  }
  const lease = orFail(
    parseInt64(flags.string("lease"), 16),
    Exit.BadArgs,
    (text) => `bad lease ID (${text}), expecting ID in Hex`,
  );
  const options = {
    lease,
    prevKv: flags.bool("prev-kv"),
    ignoreValue,
    ignoreLease: flags.bool("ignore-lease"),
  };
  return putRequest(args[0]!, value, options);
}

export function shownPut(context: Context, response: PutResponse): Shown {
  const previous = response.prevKv;
  return {
    type: "etcdserverpb.PutResponse",
    message: response,
    simple: () => ["OK\n", ...(previous === undefined ? [] : simpleKv(context, previous))],
    fields: () =>
      fieldsHeader(context, response.header) +
      (previous === undefined ? "" : fieldsKv(context, "Prev", previous)),
  };
}

export const run: Run = async (invocation) => {
  const request = await putFromArguments(invocation.flags, invocation.args, readAllInput);
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { ...request, timeoutMillis: context.timeoutMillis };
  const response = await orExit(client.kv.put(request.key, request.value, options));
  client.close();
  await show(context, shownPut(context, response));
};
