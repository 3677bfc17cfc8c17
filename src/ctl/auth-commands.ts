// auth, user and role: the part of the command tree about who may do what.
import type { CommandSpec } from "../cli/command.ts";
import { AUTHENTICATION, bool, lazily, string } from "./specs.ts";

const authModule = () => import("./run/auth.ts");
export const auth: CommandSpec = {
  use: "auth <enable or disable>",
  short: "Enable or disable authentication. Use `etcdctl auth --help` to see subcommands",
  long: "Enable or disable authentication",
  group: AUTHENTICATION,
  commands: [
    { use: "enable", short: "Enables authentication", run: lazily(authModule, (m) => m.enable) },
    { use: "disable", short: "Disables authentication", run: lazily(authModule, (m) => m.disable) },
    { use: "status", short: "Returns authentication status", run: lazily(authModule, (m) => m.status) },
  ],
};

const userModule = () => import("./run/user.ts");
export const user: CommandSpec = {
  use: "user <subcommand>",
  short: "User related commands. Use `etcdctl user --help` to see subcommands",
  long: "User related commands",
  group: AUTHENTICATION,
  commands: [
    {
      use: "add <user name or user:password> [options]",
      short: "Adds a new user",
      flags: [
        bool("interactive", "Read password from stdin instead of interactive terminal", true),
        string("new-user-password", "Supply password from the command line flag"),
        bool("no-password", "Create a user without password (CN based auth only)"),
      ],
      run: lazily(userModule, (m) => m.add),
    },
    { use: "delete <user name>", short: "Deletes a user", run: lazily(userModule, (m) => m.remove) },
    {
      use: "get <user name> [options]",
      short: "Gets detailed information of a user",
      flags: [bool("detail", "Show permissions of roles granted to the user")],
      run: lazily(userModule, (m) => m.get),
    },
    { use: "list", short: "Lists all users", run: lazily(userModule, (m) => m.list) },
    {
      use: "passwd <user name> [options]",
      short: "Changes password of user",
      flags: [bool("interactive", "If true, read password from stdin instead of interactive terminal", true)],
      run: lazily(userModule, (m) => m.passwd),
    },
    {
      use: "grant-role <user name> <role name>",
      short: "Grants a role to a user",
      run: lazily(userModule, (m) => m.grantRole),
    },
    {
      use: "revoke-role <user name> <role name>",
      short: "Revokes a role from a user",
      run: lazily(userModule, (m) => m.revokeRole),
    },
  ],
};

const KEY_ORDER = "keys that are greater than or equal to the given key using byte compare";
const roleModule = () => import("./run/role.ts");
export const role: CommandSpec = {
  use: "role <subcommand>",
  short: "Role related commands. Use `etcdctl role --help` to see subcommands",
  long: "Role related commands",
  group: AUTHENTICATION,
  commands: [
    { use: "add <role name>", short: "Adds a new role", run: lazily(roleModule, (m) => m.add) },
    { use: "delete <role name>", short: "Deletes a role", run: lazily(roleModule, (m) => m.remove) },
    {
      use: "get <role name>",
      short: "Gets detailed information of a role",
      run: lazily(roleModule, (m) => m.get),
    },
    { use: "list", short: "Lists all roles", run: lazily(roleModule, (m) => m.list) },
    {
      use: "grant-permission [options] <role name> <permission type> <key> [endkey]",
      short: "Grants a key to a role",
      flags: [
        bool("prefix", "grant a prefix permission"),
        bool("from-key", `grant a permission of ${KEY_ORDER}`),
      ],
      run: lazily(roleModule, (m) => m.grantPermission),
    },
    {
      use: "revoke-permission <role name> <key> [endkey]",
      short: "Revokes a key from a role",
      flags: [
        bool("prefix", "revoke a prefix permission"),
        bool("from-key", `revoke a permission of ${KEY_ORDER}`),
      ],
      run: lazily(roleModule, (m) => m.revokePermission),
    },
  ],
};
