// role add, delete, get, list, grant-permission, revoke-permission.
import type { FlagSet } from "../../cli/flag-set.ts";
import { goQuote } from "../../cli/quote.ts";
import { prefixEnd, toBytes, ZERO_BYTE } from "../../client/keys.ts";
import { type Permission, PermissionType } from "../../wire/generated/authpb.ts";
import type { AuthRoleGetResponse } from "../../wire/generated/etcdserverpb.ts";
import { type Context, connect, openContext, orExit } from "../context.ts";
import { Exit, fail } from "../environment.ts";
import { type Chunk, quoteBytes } from "../format.ts";
import { fieldsHeader, type Shown, show, shownLine } from "../show.ts";
import type { Run } from "../specs.ts";

const NONE = new Uint8Array(0);
const isOpen = (end: Uint8Array): boolean => end.length === 1 && end[0] === 0;

function permissionLine(permission: Permission): Chunk[] {
  const { key, rangeEnd } = permission;
  if (rangeEnd.length === 0) return ["\t", key, "\n"];
  const range: Chunk[] = isOpen(rangeEnd)
    ? ["\t[", key, ", <open ended>"]
    : ["\t[", key, ", ", rangeEnd, ")"];
  const isPrefix = key.length > 0 && Buffer.compare(prefixEnd(key), rangeEnd) === 0;
  return [...range, ...(isPrefix ? [" (prefix ", key, ")"] : []), "\n"];
}

function simpleRole(role: string, response: AuthRoleGetResponse): Chunk[] {
  if (role === "root" && response.perm.length === 0) {
    return ["Role root\nKV Read:\n\t[, <open ended>\nKV Write:\n\t[, <open ended>\n"];
  }
  const lines = (type: PermissionType): Chunk[] =>
    response.perm
      .filter(
        (permission) => permission.permType === type || permission.permType === PermissionType.READWRITE,
      )
      .flatMap(permissionLine);
  return [
    `Role ${role}\nKV Read:\n`,
    ...lines(PermissionType.READ),
    "KV Write:\n",
    ...lines(PermissionType.WRITE),
  ];
}

const TYPE_NAMES = ["READ", "WRITE", "READWRITE"];

export function shownRole(context: Context, role: string, response: AuthRoleGetResponse): Shown {
  return {
    type: "etcdserverpb.AuthRoleGetResponse",
    message: response,
    simple: () => simpleRole(role, response),
    fields: () =>
      fieldsHeader(context, response.header) +
      response.perm
        .map(
          ({ permType, key, rangeEnd }) =>
            `"PermType" :  ${TYPE_NAMES[permType] ?? permType}\n"Key" : ${quoteBytes(key)}\n"RangeEnd" : ${quoteBytes(rangeEnd)}\n`,
        )
        .join(""),
  };
}

export const add: Run = async (invocation) => {
  if (invocation.args.length !== 1) fail(Exit.BadArgs, "role add command requires role name as its argument");
  const [role] = invocation.args as [string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.roleAdd(role));
  client.close();
  await show(
    context,
    shownLine(context, "etcdserverpb.AuthRoleAddResponse", response, `Role ${role} created`),
  );
};

export const remove: Run = async (invocation) => {
  if (invocation.args.length !== 1)
    fail(Exit.BadArgs, "role delete command requires role name as its argument");
  const [role] = invocation.args as [string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.roleDelete(role));
  client.close();
  await show(
    context,
    shownLine(context, "etcdserverpb.AuthRoleDeleteResponse", response, `Role ${role} deleted`),
  );
};

export const get: Run = async (invocation) => {
  if (invocation.args.length !== 1) fail(Exit.BadArgs, "role get command requires role name as its argument");
  const [role] = invocation.args as [string];
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.roleGet(role));
  client.close();
  await show(context, shownRole(context, role, response));
};

export const list: Run = async (invocation) => {
  if (invocation.args.length !== 0) fail(Exit.BadArgs, "role list command requires no arguments");
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.roleList());
  client.close();
  await show(context, {
    type: "etcdserverpb.AuthRoleListResponse",
    message: response,
    simple: () => response.roles.map((role) => `${role}\n`),
    fields: () =>
      `${fieldsHeader(context, response.header)}"Roles" :${response.roles.map((role) => ` ${goQuote(role)}`).join("")}\n`,
  });
};

type KeyRange = { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };

/** The keys that a permission is about: a key, a range, a prefix, or everything from a key on. */
function permissionRange(flags: FlagSet, args: readonly string[]): KeyRange {
  const prefix = flags.bool("prefix");
  const fromKey = flags.bool("from-key");
  const both = (): never => fail(Exit.BadArgs, "--from-key and --prefix flags are mutually exclusive");
  const key = toBytes(args[0]!);
  if (key.length === 0) {
    if (prefix && fromKey) both();
    return { key: ZERO_BYTE, rangeEnd: prefix || fromKey ? ZERO_BYTE : NONE };
  }
  if (args.length === 1) {
    if (prefix && fromKey) both();
    return { key, rangeEnd: prefix ? prefixEnd(key) : fromKey ? ZERO_BYTE : NONE };
  }
  if (prefix) fail(Exit.BadArgs, "unexpected endkey argument with --prefix flag");
  if (fromKey) fail(Exit.BadArgs, "unexpected endkey argument with --from-key flag");
  return { key, rangeEnd: toBytes(args[1]!) };
}

export const grantPermission: Run = async (invocation) => {
  const { args, flags } = invocation;
  if (args.length < 3) {
    fail(
      Exit.BadArgs,
      "role grant command requires role name, permission type, and key [endkey] as its argument",
    );
  }
  const permType = TYPE_NAMES.indexOf(args[1]!.toUpperCase());
  if (permType < 0) fail(Exit.BadArgs, `invalid permission type: ${args[1]}`);
  const { key, rangeEnd } = permissionRange(flags, args.slice(2));
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.roleGrantPermission(args[0]!, { permType, key, rangeEnd }));
  client.close();
  const type = "etcdserverpb.AuthRoleGrantPermissionResponse";
  await show(context, shownLine(context, type, response, `Role ${args[0]} updated`));
};

export const revokePermission: Run = async (invocation) => {
  const { args, flags } = invocation;
  if (args.length < 2) {
    fail(Exit.BadArgs, "role revoke-permission command requires role name and key [endkey] as its argument");
  }
  const { key, rangeEnd } = permissionRange(flags, args.slice(1));
  const context = await openContext(invocation);
  const client = await connect(context);
  const response = await orExit(client.auth.roleRevokePermission(args[0]!, key, rangeEnd));
  client.close();
  const what =
    rangeEnd.length === 0
      ? ["Permission of key ", args[1]!]
      : isOpen(rangeEnd)
        ? ["Permission of range [", args[1]!, ", <open ended>"]
        : ["Permission of range [", args[1]!, ", ", rangeEnd, ")"];
  await show(context, {
    type: "etcdserverpb.AuthRoleRevokePermissionResponse",
    message: response,
    simple: () => [...what, ` is revoked from role ${args[0]}\n`],
    fields: () => fieldsHeader(context, response.header),
  });
};
