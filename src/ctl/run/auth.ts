// auth enable, disable, status.
import { errors } from "../../base/errors.ts";
import { RpcError } from "../../client/errors.ts";
import { connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { integer } from "../format.ts";
import { show } from "../show.ts";
import type { Run } from "../specs.ts";

function noArguments(args: readonly string[], command: string): void {
  if (args.length !== 0) fail(Exit.BadArgs, `auth ${command} command does not accept any arguments`);
}

export const enable: Run = async (invocation) => {
  noArguments(invocation.args, "enable");
  const context = await openContext(invocation);
  const client = await connect(context);
  const options = { timeoutMillis: context.timeoutMillis };
  // A root user without the root role is given it, and then all is tried again.
  const attempt = async (): Promise<void> => {
    for (;;) {
      try {
        await client.auth.enable(options);
        return;
      } catch (error) {
        if (!(error instanceof RpcError) || !error.is(errors.rootRoleNotExist)) throw error;
        await client.auth.roleAdd("root", options);
        await client.auth.userGrantRole("root", "root", options);
      }
    }
  };
  await orExit(attempt());
  client.close();
  invocation.output.out("Authentication Enabled\n");
};

export const disable: Run = async (invocation) => {
  noArguments(invocation.args, "disable");
  const context = await openContext(invocation);
  const client = await connect(context);
  await orExit(client.auth.disable({ timeoutMillis: context.timeoutMillis }));
  client.close();
  invocation.output.out("Authentication Disabled\n");
};

export const status: Run = async (invocation) => {
  noArguments(invocation.args, "status");
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.status({ timeoutMillis: context.timeoutMillis }));
  client.close();
  await show(context, {
    type: "etcdserverpb.AuthStatusResponse",
    message: response,
    simple: () => [
      `Authentication Status: ${response.enabled}\nAuthRevision: ${integer(response.authRevision)}\n`,
    ],
  });
};
