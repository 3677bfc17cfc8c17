// lock and elect: hold a name until a signal, a command's end, or the loss of the session.
import { spawn } from "node:child_process";
import { goQuote } from "../../cli/quote.ts";
import type { Client } from "../../client/client.ts";
import { Election, Mutex, Session } from "../../client/concurrency.ts";
import { RpcError } from "../../client/errors.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { integer } from "../format.ts";
import { show } from "../show.ts";
import type { Run } from "../specs.ts";
import { shownRange } from "./get.ts";

/** Aborts at SIGINT or SIGTERM. */
function onSignal(): AbortController {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort());
  return abort;
}

function aborted(signal: AbortSignal): Promise<"signal"> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve("signal");
    signal.addEventListener("abort", () => resolve("signal"), { once: true });
  });
}

type Ended = { readonly code: number; readonly text: string };

function runCommand(
  command: readonly string[],
  environment: Record<string, string>,
): Promise<Ended | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...environment, ...process.env },
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("error", () =>
      resolve({
        code: Exit.Error,
        text: `exec: ${goQuote(command[0]!)}: executable file not found in $PATH`,
      }),
    );
    child.on("exit", (code, signal) => {
      if (code === 0) resolve(undefined);
      else if (signal !== null) resolve({ code: -1, text: `signal: ${signal}` });
      else resolve({ code: code ?? 1, text: `exit status ${code ?? 1}` });
    });
  });
}

export const lock: Run = async (invocation) => {
  const { args, flags } = invocation;
  if (args.length === 0) {
    fail(Exit.BadArgs, "lock takes a lock name argument and an optional command to execute");
  }
  const [name, ...command] = args as [string, ...string[]];
  const context = await openContext(invocation);
  const client = await connect(context);
  const session = await orExit(Session.open(client, { ttlSeconds: flags.number("ttl") }));
  const mutex = new Mutex(session, name);
  const abort = onSignal();
  await orExit(mutex.lock(abort.signal));
  if (command.length > 0) {
    const environment = { ETCD_LOCK_KEY: mutex.key, ETCD_LOCK_REV: integer(mutex.header?.revision ?? 0) };
    const ended = await runCommand(command, environment);
    const unlocked = mutex.unlock();
    if (ended !== undefined) {
      await unlocked.catch(() => {});
      fail(ended.code, ended.text);
    }
    await orExit(unlocked);
  } else {
    await holdKey(context, client, mutex.key, "lock lost on init");
    const why = await Promise.race([aborted(abort.signal), session.done]);
    if (why !== "signal") fail(Exit.Error, "session expired");
    await orExit(mutex.unlock());
  }
  session.orphan();
  client.close();
};

async function holdKey(context: Context, client: Client, key: string, lost: string): Promise<void> {
  const response = await orExit(client.kv.get(key));
  if (response.kvs.length === 0) fail(Exit.Error, lost);
  await show(context, shownRange(context, response));
}

export const elect: Run = async (invocation) => {
  const { args, flags } = invocation;
  if (args.length !== 1 && args.length !== 2) {
    fail(Exit.BadArgs, "elect takes one election name argument and an optional proposal argument");
  }
  const context = await openContext(invocation);
  const client = await connect(context);
  const listen = flags.bool("listen");
  if (args.length === 1) {
    if (!listen) fail(Exit.BadArgs, "no proposal argument but -l not set");
    await observe(context, client, args[0]!);
  } else {
    if (listen) fail(Exit.BadArgs, "proposal given but -l is set");
    await campaign(context, client, args[0]!, args[1]!);
  }
  client.close();
};

async function observe(context: Context, client: Client, name: string): Promise<void> {
  const session = await orExit(Session.open(client));
  const abort = onSignal();
  try {
    for await (const response of new Election(session, name).observe(abort.signal)) {
      await show(context, shownRange(context, response));
    }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
  }
  session.orphan();
  if (!abort.signal.aborted) fail(Exit.Error, "elect: observer lost");
}

async function campaign(context: Context, client: Client, name: string, proposal: string): Promise<void> {
  const session = await orExit(Session.open(client));
  const election = new Election(session, name);
  const abort = onSignal();
  await orExit(election.campaign(proposal, abort.signal));
  await show(context, shownRange(context, await orExit(client.kv.get(election.key))));
  const why = await Promise.race([aborted(abort.signal), session.done]);
  if (why !== "signal") fail(Exit.Error, "elect: session expired");
  await orExit(election.resign());
  session.orphan();
}
