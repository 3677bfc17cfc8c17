// get: one key or a range.
import type { FlagSet } from "../../cli/flag-set.ts";
import { goQuote } from "../../cli/quote.ts";
import type { Bytes } from "../../client/keys.ts";
import { type GetOptions, rangeRequest } from "../../client/kv.ts";
import {
  createRangeResponse,
  type RangeRequest,
  type RangeResponse,
  SortOrder,
  SortTarget,
} from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { integer } from "../format.ts";
import { fieldsHeader, fieldsKv, type Shown, show, simpleKv } from "../show.ts";
import type { Run } from "../specs.ts";

const ORDERS: Record<string, SortOrder> = {
  "": SortOrder.NONE,
  ASCEND: SortOrder.ASCEND,
  DESCEND: SortOrder.DESCEND,
};
const TARGETS: Record<string, SortTarget> = {
  "": SortTarget.KEY,
  CREATE: SortTarget.CREATE,
  KEY: SortTarget.KEY,
  MODIFY: SortTarget.MOD,
  VALUE: SortTarget.VALUE,
  VERSION: SortTarget.VERSION,
};

/** `shown` is what the refusal names: for `member list` etcdctl shows the default of get's flag, whatever was given. */
export function isSerializable(consistency: string, shown = consistency): boolean {
  if (consistency === "s") return true;
  if (consistency !== "l") fail(Exit.BadFeature, `unknown consistency flag ${goQuote(shown)}`);
  return false;
}

function positive(flags: FlagSet, name: string): number {
  return Math.max(0, flags.number(name));
}

/** The request of `get`, also inside txn. Ends the program when flags contradict each other. */
export function getRequest(flags: FlagSet, args: readonly string[]): RangeRequest {
  if (args.length === 0) {
    fail(Exit.BadArgs, "get command needs one argument as key and an optional argument as range_end");
  }
  const prefix = flags.bool("prefix");
  const fromKey = flags.bool("from-key");
  if (prefix && fromKey) {
    fail(Exit.BadArgs, "`--prefix` and `--from-key` cannot be set at the same time, choose one");
  }
  if (flags.bool("keys-only") && flags.bool("count-only")) {
    fail(Exit.BadArgs, "`--keys-only` and `--count-only` cannot be set at the same time, choose one");
  }
  const serializable = isSerializable(flags.string("consistency"));
  if (args.length > 1 && (prefix || fromKey)) {
    fail(Exit.BadArgs, "too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
  }
  const options: GetOptions = {
    ...rangeArguments(args, prefix, fromKey),
    ...sorting(flags),
    ...revisionBounds(flags),
    serializable,
    limit: flags.number("limit"),
    revision: positive(flags, "rev"),
    keysOnly: flags.bool("keys-only"),
    countOnly: flags.bool("count-only"),
  };
  return rangeRequest(args[0]!, options);
}

export function rangeArguments(
  args: readonly string[],
  prefix: boolean,
  fromKey: boolean,
): { prefix: boolean; fromKey: boolean; rangeEnd?: Bytes } {
  return { prefix, fromKey, ...(args.length > 1 ? { rangeEnd: args[1]! } : {}) };
}

function sorting(flags: FlagSet): Pick<GetOptions, "sortOrder" | "sortTarget"> {
  const sortOrder = ORDERS[flags.string("order").toUpperCase()];
  if (sortOrder === undefined) return fail(Exit.BadFeature, `bad sort order ${flags.string("order")}`);
  const sortTarget = TARGETS[flags.string("sort-by").toUpperCase()];
  if (sortTarget === undefined) return fail(Exit.BadFeature, `bad sort target ${flags.string("sort-by")}`);
  return { sortOrder, sortTarget };
}

function revisionBounds(flags: FlagSet): GetOptions {
  const bounds = {
    minCreateRevision: positive(flags, "min-create-rev"),
    maxCreateRevision: positive(flags, "max-create-rev"),
    minModRevision: positive(flags, "min-mod-rev"),
    maxModRevision: positive(flags, "max-mod-rev"),
  };
  const check = (kind: "Create" | "Mod", low: number, high: number, flag: string): void => {
    if (high > 0 && low > high) {
      fail(Exit.BadFeature, `getMin${kind}Rev(=${flags.int(flag)}) > getMax${kind}Rev(=${high})`);
    }
  };
  check("Create", bounds.minCreateRevision, bounds.maxCreateRevision, "min-create-rev");
  check("Mod", bounds.minModRevision, bounds.maxModRevision, "min-mod-rev");
  return bounds;
}

export function shownRange(context: Context, response: RangeResponse, valueOnly = false): Shown {
  return {
    type: "etcdserverpb.RangeResponse",
    message: response,
    simple: () => response.kvs.flatMap((kv) => simpleKv(context, kv, valueOnly)),
    fields: () =>
      fieldsHeader(context, response.header) +
      response.kvs.map((kv) => fieldsKv(context, "", kv)).join("") +
      `"More" : ${response.more}\n"Count" : ${integer(response.count)}\n`,
  };
}

export const run: Run = async (invocation) => {
  const request = getRequest(invocation.flags, invocation.args);
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { timeoutMillis: context.timeoutMillis };
  const read = async (): Promise<RangeResponse> => {
    if (!context.flags.bool("stream")) return await client.kv.range(request, options);
    const whole = createRangeResponse();
    for await (const piece of client.kv.stream(request, options)) {
      whole.header = piece.header ?? whole.header;
      for (const kv of piece.kvs) whole.kvs.push(kv);
      whole.more ||= piece.more;
      whole.count = piece.count === 0 ? whole.count : piece.count;
    }
    return whole;
  };
  const response = await orExit(read());
  client.close();
  if (request.countOnly && context.format !== "fields") {
    fail(Exit.BadArgs, "--count-only is only for `--write-out=fields`");
  }
  const valueOnly = context.flags.bool("print-value-only");
  if (valueOnly && context.format !== "simple") {
    fail(Exit.BadArgs, "print-value-only is only for `--write-out=simple`");
  }
  await show(context, shownRange(context, response, valueOnly));
};
