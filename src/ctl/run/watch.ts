// watch: events as they happen, printed, or handed to a command; with -i, requests from standard input.
import { spawn } from "node:child_process";
import { FlagSet } from "../../cli/flag-set.ts";
import { goQuote } from "../../cli/quote.ts";
import type { Client } from "../../client/client.ts";
import { type Watcher, watchError } from "../../client/watch.ts";
import { createWatchResponse, type WatchResponse } from "../../wire/generated/etcdserverpb.ts";
import { EventType } from "../../wire/generated/mvccpb.ts";
import { type Context, connect, openContext } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { integer, quoteBytes } from "../format.ts";
import { fieldsHeader, fieldsKv, show, simpleKv } from "../show.ts";
import { type Run, watchFlags } from "../specs.ts";
import { LineReader } from "../terminal.ts";
import { splitWords } from "../words.ts";
import { parseWatchArguments, type WatchArguments } from "./watch-arguments.ts";

function startWatch(client: Client, parsed: WatchArguments, flags: FlagSet): Watcher | string {
  const [key, rangeEnd] = parsed.keys;
  if (key === undefined) return "bad number of arguments";
  const prefix = flags.bool("prefix");
  if (parsed.keys.length === 2 && prefix) return "`range_end` and `--prefix` are mutually exclusive";
  return client.watch(key, {
    prefix,
    ...(parsed.keys.length === 2 ? { rangeEnd: rangeEnd! } : {}),
    revision: flags.number("rev"),
    prevKv: flags.bool("prev-kv"),
    progressNotify: flags.bool("progress-notify"),
    requireLeader: true,
  });
}

const eventName = (type: number): string => (type === EventType.DELETE ? "DELETE" : "PUT");

function isProgress(response: WatchResponse): boolean {
  const { events, canceled, created, compactRevision, header } = response;
  return (
    events.length === 0 && !canceled && !created && compactRevision === 0 && (header?.revision ?? 0) !== 0
  );
}

async function jsonWatch(response: WatchResponse, reason: string): Promise<string> {
  const { jsonArray, jsonMessage, jsonNumber, jsonObject, jsonString } = await import("../json.ts");
  const { events } = response;
  return jsonObject([
    [
      "Header",
      response.header === undefined ? "{}" : jsonMessage("etcdserverpb.ResponseHeader", response.header),
    ],
    [
      "Events",
      events.length === 0 ? "null" : jsonArray(events.map((event) => jsonMessage("mvccpb.Event", event))),
    ],
    ["CompactRevision", jsonNumber(response.compactRevision)],
    ["Canceled", String(response.canceled)],
    ["Created", String(response.created)],
    ["CancelReason", jsonString(reason)],
  ]);
}

async function showResponse(context: Context, response: WatchResponse): Promise<void> {
  // What the client itself has to say when a watch ends has no header; the reason is then not part of the answer.
  const reason = response.header === undefined ? "" : response.cancelReason;
  await show(context, {
    type: "etcdserverpb.WatchResponse",
    message: response,
    simple: () =>
      response.events.flatMap((event) => [
        `${eventName(event.type)}\n`,
        ...(event.prevKv === undefined ? [] : simpleKv(context, event.prevKv)),
        ...(event.kv === undefined ? ["\n\n"] : simpleKv(context, event.kv)),
      ]),
    fields: () =>
      fieldsHeader(context, response.header) +
      response.events
        .map(
          (event) =>
            `"Type" : ${eventName(event.type)}\n` +
            (event.prevKv === undefined ? "" : fieldsKv(context, "Prev", event.prevKv)) +
            (event.kv === undefined ? "" : fieldsKv(context, "", event.kv)),
        )
        .join(""),
    json: () => jsonWatch(response, reason),
    protobuf: () => ({
      type: "etcdserverpb.WatchResponse",
      message: {
        ...response,
        watchId: 0n,
        cancelReason: "",
        fragment: false,
        header: response.header ?? createWatchHeader(),
      },
    }),
  });
}

function createWatchHeader(): object {
  return { ...createWatchResponse().header, clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 };
}

async function runCommand(command: readonly string[], environment: Record<string, string>): Promise<void> {
  const error = await new Promise<string | undefined>((resolve) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("error", () => resolve(`exec: ${goQuote(command[0]!)}: executable file not found in $PATH`));
    child.on("exit", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal === null ? `exit status ${code ?? 1}` : `signal: ${signal}`);
    });
  });
  if (error === undefined) return;
  process.stderr.write(`command [${command.map(goQuote).join(" ")}] error (${error})\n`);
  process.exit(1);
}

async function printWatch(context: Context, watcher: Watcher, command: readonly string[]): Promise<void> {
  for await (const response of watcher) {
    if (response.canceled) {
      process.stderr.write(`watch was canceled (${(watchErrorOf(watcher, response) ?? "").toString()})\n`);
    }
    if (isProgress(response)) {
      context.invocation.output.out(`progress notify: ${integer(response.header!.revision)}\n`);
    }
    await showResponse(context, response);
    if (command.length === 0) continue;
    for (const event of response.events) {
      await runCommand(command, {
        ETCD_WATCH_REVISION: integer(response.header?.revision ?? 0),
        ETCD_WATCH_EVENT_TYPE: goQuote(eventName(event.type)),
        ETCD_WATCH_KEY: quoteBytes(event.kv?.key ?? new Uint8Array(0)),
        ETCD_WATCH_VALUE: quoteBytes(event.kv?.value ?? new Uint8Array(0)),
      });
    }
  }
}

function watchErrorOf(watcher: Watcher, response: WatchResponse): string | undefined {
  return watcher.error?.message ?? watchError(response)?.message;
}

const interactiveFlags = (): FlagSet => {
  const flags = new FlagSet();
  for (const spec of watchFlags) flags.add(spec);
  return flags;
};

async function interactive(
  context: Context,
  client: Client,
  envKey: string,
  envRange: string,
): Promise<never> {
  const reader = new LineReader();
  for (;;) {
    const line = await reader.next();
    if (line === undefined) return fail(Exit.InvalidInput, "error reading watch request line: EOF");
    const words = splitWords(line);
    if (words.length < 1) {
      process.stderr.write(`Invalid command: ${line} (watch and progress supported)\n`);
    } else if (words[0] === "progress") {
      client.requestProgress({ requireLeader: true });
    } else if (words[0] !== "watch") {
      process.stderr.write(`Invalid command ${line} (only support watch)\n`);
    } else if (words.length < 2 && envKey === "") {
      process.stderr.write(`Invalid command ${line} (command type or key is not provided)\n`);
    } else {
      const flags = interactiveFlags();
      const parsed = parseWatchArguments({
        raw: words.slice(1),
        args: [],
        envKey,
        envRange,
        interactive: flags,
      });
      if (typeof parsed === "string") return fail(Exit.BadArgs, parsed);
      const watcher = startWatch(client, parsed, flags);
      if (typeof watcher === "string") process.stderr.write(`Invalid command ${line} (${watcher})\n`);
      else void printWatch(context, watcher, parsed.command);
    }
  }
}

export const run: Run = async (invocation) => {
  const { args, flags } = invocation;
  const envKey = process.env["ETCDCTL_WATCH_KEY"] ?? "";
  const envRange = process.env["ETCDCTL_WATCH_RANGE_END"] ?? "";
  if (envKey === "" && envRange !== "") {
    fail(Exit.BadArgs, `ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${goQuote(envRange)}`);
  }
  if (flags.bool("interactive")) {
    const context = await openContext(invocation);
    return await interactive(context, await connect(context), envKey, envRange);
  }
  const words = process.argv.slice(1);
  const raw = words.includes("watch") ? words.slice(words.indexOf("watch") + 1) : words;
  const parsed = parseWatchArguments({ raw, args, envKey, envRange, interactive: undefined });
  if (typeof parsed === "string") return fail(Exit.BadArgs, parsed);
  const context = await openContext(invocation);
  const client = await connect(context);
  const watcher = startWatch(client, parsed, flags);
  if (typeof watcher === "string") return fail(Exit.BadArgs, watcher);
  await printWatch(context, watcher, parsed.command);
  client.close();
  fail(Exit.Interrupted, "watch is canceled by the server");
};
