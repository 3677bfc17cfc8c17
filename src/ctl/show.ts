// One answer in the format that was asked for. A command hands in what it got and how its simple and field lines read; JSON and
// protobuf come from the message itself. A format that a command does not have ends the program, after the work is done.
import type { ResponseHeader } from "../wire/generated/etcdserverpb.ts";
import type { KeyValue } from "../wire/generated/mvccpb.ts";
import type { Context, Format } from "./context.ts";
import { Exit, fail } from "./environment.ts";
import { type Chunk, hexBytes, hexId, hexLease, integer, joinChunks, quoteBytes } from "./format.ts";

export type Shown = {
  /** Full name of the message, for JSON and protobuf. */
  readonly type: string;
  readonly message: object;
  simple?(): Chunk[];
  fields?(): string;
  table?(): string;
  /** Instead of the message's own. */
  json?(): string | Promise<string>;
  /** Instead of the message's own; undefined = there is none. */
  protobuf?(): { type: string; message: object } | undefined;
};

export async function show(context: Context, shown: Shown): Promise<void> {
  context.invocation.output.out(await render(context.format, shown));
}

async function render(format: Format, shown: Shown): Promise<Uint8Array> {
  switch (format) {
    case "simple":
      return joinChunks(shown.simple?.() ?? unsupported(format));
    case "fields":
      return Buffer.from(shown.fields?.() ?? unsupported(format));
    case "table":
      return Buffer.from(shown.table?.() ?? unsupported(format));
    case "json": {
      const { jsonMessage } = await import("./json.ts");
      return Buffer.from(`${(await shown.json?.()) ?? jsonMessage(shown.type, shown.message)}\n`);
    }
    case "protobuf": {
      const { codecs } = await import("../wire/generated/codecs.ts");
      const source = shown.protobuf === undefined ? shown : (shown.protobuf() ?? unsupported(format));
      return codecs.get(source.type)!.encode(source.message as Record<string, unknown>);
    }
  }
}

function unsupported(format: Format): never {
  return fail(Exit.BadFeature, `${format} not supported as output format`);
}

/** Key line and value line. */
export function simpleKv(context: Context, kv: KeyValue, valueOnly = false): Chunk[] {
  const value = context.hex ? hexBytes(kv.value) : kv.value;
  if (valueOnly) return [value, "\n"];
  return [context.hex ? hexBytes(kv.key) : kv.key, "\n", value, "\n"];
}

export function fieldsHeader(context: Context, header: ResponseHeader | undefined): string {
  const id = (value: bigint): string => (context.hex ? hexId(value) : value.toString());
  const revision = header?.revision ?? 0;
  return (
    `"ClusterID" : ${id(header?.clusterId ?? 0n)}\n"MemberID" : ${id(header?.memberId ?? 0n)}\n` +
    (revision > 0 ? `"Revision" : ${integer(revision)}\n` : "") +
    `"RaftTerm" : ${integer(header?.raftTerm ?? 0)}\n`
  );
}

export function fieldsKv(context: Context, prefix: string, kv: KeyValue): string {
  return (
    `"${prefix}Key" : ${quoteBytes(kv.key)}\n` +
    `"${prefix}CreateRevision" : ${integer(kv.createRevision)}\n` +
    `"${prefix}ModRevision" : ${integer(kv.modRevision)}\n` +
    `"${prefix}Version" : ${integer(kv.version)}\n` +
    `"${prefix}Value" : ${quoteBytes(kv.value)}\n` +
    `"${prefix}Lease" : ${context.hex ? hexLease(kv.lease) : kv.lease.toString()}\n`
  );
}

/** An answer that is a header and a line of text. */
export function shownLine(
  context: Context,
  type: string,
  message: { readonly header: ResponseHeader | undefined },
  text: string,
): Shown {
  return {
    type,
    message,
    simple: () => [`${text}\n`],
    fields: () => fieldsHeader(context, message.header),
  };
}
