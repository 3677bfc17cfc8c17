// txn: conditions and operations from standard input, one per line, three blocks that blank lines end.
import { commandTree, execute, type Invocation } from "../../cli/command.ts";
import { type CompareSign, compare } from "../../client/kv.ts";
import {
  type Compare,
  createTxnRequest,
  type RequestOp,
  type ResponseOp,
  type TxnResponse,
} from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { type Chunk, parseInt64, quoteBytes, scanQuoted } from "../format.ts";
import { fieldsHeader, type Shown, show } from "../show.ts";
import { DEL_USE, delFlags, GET_USE, getFlags, PUT_USE, putFlags, type Run } from "../specs.ts";
import { LineReader } from "../terminal.ts";
import { splitWords } from "../words.ts";
import { deleteFromArguments, shownDelete } from "./del.ts";
import { getRequest, shownRange } from "./get.ts";
import { putFromArguments, shownPut } from "./put.ts";

/** The lines of one block. */
async function readBlock(reader: LineReader): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const line = await reader.next();
    if (line === undefined) return fail(Exit.InvalidInput, "EOF");
    const trimmed = line.trim();
    if (trimmed === "") return lines;
    lines.push(trimmed);
  }
}

type Scanned = { key: Uint8Array; sign: string; value: Uint8Array; count: number };

/** `"key") op "value"`, as far as it can be read. */
function scanComparison(text: string): Scanned {
  const scanned: Scanned = { key: new Uint8Array(0), sign: "", value: new Uint8Array(0), count: 0 };
  const start = text.length - text.trimStart().length;
  const key = scanQuoted(text, start);
  if (key === undefined) return scanned;
  scanned.key = key.value;
  scanned.count = 1;
  if (text[key.end] !== ")") return scanned;
  const sign = /^\s+(\S+)/.exec(text.slice(key.end + 1));
  if (sign === null) return scanned;
  scanned.sign = sign[1]!;
  scanned.count = 2;
  const rest = text.slice(key.end + 1 + sign[0].length);
  const value = scanQuoted(rest, rest.length - rest.trimStart().length);
  if (value === undefined) return scanned;
  scanned.value = value.value;
  scanned.count = 3;
  return scanned;
}

export function parseCompare(line: string): Compare {
  const paren = line.indexOf("(");
  if (paren < 0) return fail(Exit.InvalidInput, `malformed comparison: ${line}`);
  const target = line.slice(0, paren);
  const { key, sign, value, count } = scanComparison(line.slice(paren + 1));
  if (count !== 3) {
    const got = `${target}(${quoteBytes(key)}) ${sign} ${quoteBytes(value)}`;
    return fail(Exit.InvalidInput, `malformed comparison: ${line}; got ${got}`);
  }
  const number = (): bigint => {
    const parsed = parseInt64(Buffer.from(value).toString("latin1"), 10);
    return typeof parsed === "string"
      ? fail(Exit.InvalidInput, `invalid txn compare request: ${line}`)
      : parsed;
  };
  const known = signOf(sign, line);
  switch (target) {
    case "ver":
    case "version":
      return compare.version(key, known, Number(number()));
    case "c":
    case "create":
      return compare.createRevision(key, known, Number(number()));
    case "m":
    case "mod":
      return compare.modRevision(key, known, Number(number()));
    case "val":
    case "value":
      return compare.value(key, known, value);
    case "lease":
      return compare.lease(key, known, number());
    default:
      return fail(Exit.InvalidInput, `malformed comparison: ${line} (unknown target ${target})`);
  }
}

function signOf(sign: string, line: string): CompareSign {
  if (sign === "=" || sign === "!=" || sign === "<" || sign === ">") return sign;
  return fail(Exit.InvalidInput, `malformed comparison: ${line} (unknown operator ${sign})`);
}

async function parseOperation(line: string): Promise<RequestOp> {
  const words = splitWords(line);
  if (words.length < 2) return fail(Exit.InvalidInput, `invalid txn compare request: ${line}`);
  let found: RequestOp | undefined;
  const commands = [
    {
      use: PUT_USE,
      flags: putFlags,
      run: async ({ flags, args }: Invocation) => {
        const value = await putFromArguments(flags, args, () => Promise.resolve(new Uint8Array(0)));
        found = { request: { case: "requestPut", value } };
      },
    },
    {
      use: GET_USE,
      flags: getFlags,
      run: ({ flags, args }: Invocation) => {
        found = { request: { case: "requestRange", value: getRequest(flags, args) } };
      },
    },
    {
      use: DEL_USE,
      flags: delFlags,
      run: async ({ flags, args }: Invocation) => {
        found = { request: { case: "requestDeleteRange", value: await deleteFromArguments(flags, args) } };
      },
    },
  ];
  const refusal: string[] = [];
  const output = { out: () => {}, err: (text: string) => refusal.push(text) };
  const outcome = await execute(commandTree({ use: "", commands }), words, output);
  if (found !== undefined) return found;
  if (outcome.code !== Exit.Error && outcome.code !== 0) {
    return fail(
      outcome.code,
      refusal
        .join("")
        .replace(/^Error: /, "")
        .trimEnd(),
    );
  }
  // A wrong flag shows how the command is used; what was wrong with it is left out.
  const usage = refusal.join("").indexOf("Usage:");
  if (usage >= 0) process.stderr.write(refusal.join("").slice(usage));
  return fail(Exit.InvalidInput, `invalid txn request: ${line}`);
}

function shownOperation(context: Context, item: ResponseOp): Shown | undefined {
  const response = item.response;
  switch (response?.case) {
    case "responseRange":
      return shownRange(context, response.value);
    case "responsePut":
      return shownPut(context, response.value);
    case "responseDeleteRange":
      return shownDelete(context, response.value);
    default:
      return undefined;
  }
}

function simpleTxn(context: Context, response: TxnResponse): Chunk[] {
  const chunks: Chunk[] = [response.succeeded ? "SUCCESS\n" : "FAILURE\n"];
  for (const item of response.responses) {
    chunks.push("\n");
    const shown = shownOperation(context, item);
    if (shown?.simple === undefined) chunks.push("unexpected response\n");
    else for (const chunk of shown.simple()) chunks.push(chunk);
  }
  return chunks;
}

export async function jsonTxn(response: TxnResponse): Promise<string> {
  const { jsonArray, jsonMessage, jsonObject } = await import("../json.ts");
  const items: string[] = [];
  const names = {
    responseRange: ["response_range", "etcdserverpb.RangeResponse"],
    responsePut: ["response_put", "etcdserverpb.PutResponse"],
    responseDeleteRange: ["response_delete_range", "etcdserverpb.DeleteRangeResponse"],
    responseTxn: ["response_txn", ""],
  } as const;
  for (const { response: item } of response.responses) {
    if (item === undefined) {
      items.push('{"Response":{}}');
      continue;
    }
    const [name, type] = names[item.case];
    const body = item.case === "responseTxn" ? await jsonTxn(item.value) : jsonMessage(type, item.value);
    items.push(`{"Response":{"${name}":${body}}}`);
  }
  return jsonObject([
    ["header", response.header && jsonMessage("etcdserverpb.ResponseHeader", response.header)],
    ["succeeded", response.succeeded ? "true" : undefined],
    ["responses", items.length > 0 ? jsonArray(items) : undefined],
  ]);
}

export const run: Run = async (invocation) => {
  if (invocation.args.length !== 0) fail(Exit.BadArgs, "txn command does not accept argument");
  const context = await openContext(invocation);
  const client = await connect(context);
  const reader = new LineReader();
  const prompt = (text: string): void => {
    if (invocation.flags.bool("interactive")) invocation.output.out(`${text}\n`);
  };
  const txn = createTxnRequest();
  prompt("compares:");
  for (const line of await readBlock(reader)) txn.compare.push(parseCompare(line));
  prompt("success requests (get, put, del):");
  for (const line of await readBlock(reader)) txn.success.push(await parseOperation(line));
  prompt("failure requests (get, put, del):");
  for (const line of await readBlock(reader)) txn.failure.push(await parseOperation(line));
  const response = await orExit(client.kv.txn(txn));
  client.close();
  await show(context, {
    type: "etcdserverpb.TxnResponse",
    message: response,
    simple: () => simpleTxn(context, response),
    fields: () =>
      `${fieldsHeader(context, response.header)}"Succeeded" : ${response.succeeded}\n` +
      response.responses.map((item) => shownOperation(context, item)?.fields?.() ?? "").join(""),
    json: () => jsonTxn(response),
  });
};
