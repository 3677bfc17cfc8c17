// user add, delete, get, list, passwd, grant-role, revoke-role.

import { connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { show, shownLine } from "../show.ts";
import type { Run } from "../specs.ts";
import { askPassword, readAllInput } from "../terminal.ts";
import { shownRole } from "./role.ts";

async function typedPassword(name: string): Promise<string> {
  const first = await askPassword(`Password of ${name}: `);
  if (first === "") fail(Exit.BadArgs, "empty password");
  const second = await askPassword(`Type password of ${name} again for confirmation: `);
  if (first !== second) fail(Exit.BadArgs, "given passwords are different");
  return first;
}

/** The first word of standard input. */
async function pipedPassword(): Promise<string> {
  const line = (await readAllInput()).toString("utf8").split("\n", 1)[0]!;
  return line.trim().split(/\s+/, 1)[0]!;
}

async function newUser(invocation: Parameters<Run>[0]): Promise<{ name: string; password: string }> {
  const { flags, args } = invocation;
  const [given] = args as [string];
  if (flags.bool("no-password")) return { name: given, password: "" };
  const fromFlag = flags.string("new-user-password");
  if (fromFlag !== "") return { name: given, password: fromFlag };
  const colon = given.indexOf(":");
  if (colon < 0) {
    const password = flags.bool("interactive") ? await typedPassword(given) : await pipedPassword();
    return { name: given, password };
  }
  if (colon === 0) fail(Exit.BadArgs, "empty user name is not allowed");
  return { name: given.slice(0, colon), password: given.slice(colon + 1) };
}

export const add: Run = async (invocation) => {
  if (invocation.args.length !== 1) {
    fail(Exit.BadArgs, "user add command requires user name as its argument");
  }
  const { name, password } = await newUser(invocation);
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userAdd(name, password, invocation.flags.bool("no-password")));
  client.close();
  await show(
    context,
    shownLine(context, "etcdserverpb.AuthUserAddResponse", response, `User ${name} created`),
  );
};

export const remove: Run = async (invocation) => {
  if (invocation.args.length !== 1) {
    fail(Exit.BadArgs, "user delete command requires user name as its argument");
  }
  const [name] = invocation.args as [string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userDelete(name));
  client.close();
  await show(
    context,
    shownLine(context, "etcdserverpb.AuthUserDeleteResponse", response, `User ${name} deleted`),
  );
};

export const get: Run = async (invocation) => {
  if (invocation.args.length !== 1) {
    fail(Exit.BadArgs, "user get command requires user name as its argument");
  }
  const [name] = invocation.args as [string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userGet(name));
  if (invocation.flags.bool("detail")) {
    invocation.output.out(`User: ${name}\n`);
    for (const role of response.roles) {
      invocation.output.out("\n");
      await show(context, shownRole(context, role, await orExit(client.auth.roleGet(role))));
    }
  } else {
    await show(context, {
      type: "etcdserverpb.AuthUserGetResponse",
      message: response,
      simple: () => [`User: ${name}\nRoles:${response.roles.map((role) => ` ${role}`).join("")}\n`],
    });
  }
  client.close();
};

export const list: Run = async (invocation) => {
  if (invocation.args.length !== 0) fail(Exit.BadArgs, "user list command requires no arguments");
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userList());
  client.close();
  await show(context, {
    type: "etcdserverpb.AuthUserListResponse",
    message: response,
    simple: () => response.users.map((user) => `${user}\n`),
  });
};

export const passwd: Run = async (invocation) => {
  if (invocation.args.length !== 1) {
    fail(Exit.BadArgs, "user passwd command requires user name as its argument");
  }
  const [name] = invocation.args as [string];
  const password = invocation.flags.bool("interactive") ? await typedPassword(name) : await pipedPassword();
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userChangePassword(name, password));
  client.close();
  const type = "etcdserverpb.AuthUserChangePasswordResponse";
  await show(context, shownLine(context, type, response, "Password updated"));
};

export const grantRole: Run = async (invocation) => {
  if (invocation.args.length !== 2) {
    fail(Exit.BadArgs, "user grant command requires user name and role name as its argument");
  }
  const [user, role] = invocation.args as [string, string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userGrantRole(user, role));
  client.close();
  const text = `Role ${role} is granted to user ${user}`;
  await show(context, shownLine(context, "etcdserverpb.AuthUserGrantRoleResponse", response, text));
};

export const revokeRole: Run = async (invocation) => {
  if (invocation.args.length !== 2) {
    fail(Exit.BadArgs, "user revoke-role requires user name and role name as its argument");
  }
  const [user, role] = invocation.args as [string, string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.userRevokeRole(user, role));
  client.close();
  const text = `Role ${role} is revoked from user ${user}`;
  await show(context, shownLine(context, "etcdserverpb.AuthUserRevokeRoleResponse", response, text));
};
