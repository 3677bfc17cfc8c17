// The tree of etcdctl's commands: names, flags and texts of version 3.7. What a command does is imported only when it runs, so
// that `etcdctl get` does not pay for the rest.
import { args, type CommandSpec } from "../cli/command.ts";
import type { FlagSpec } from "../cli/flag.ts";
import {
  bool,
  DEL_USE,
  delFlags,
  GET_USE,
  getFlags,
  int64,
  PUT_USE,
  putFlags,
  type Run,
  string,
  watchFlags,
} from "./specs.ts";

const SECOND = 1_000_000_000n;

/** Loads a module at its first use. */
function lazily<M>(load: () => Promise<M>, pick: (module: M) => Run): Run {
  return async (invocation) => await pick(await load())(invocation);
}

const KV = "kv";
const MAINTENANCE = "cluster maintenance";
const CONCURRENCY = "concurrency";
const AUTHENTICATION = "authentication";
const UTILITY = "utility";

const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: "endpoints", kind: "stringSlice", usage: "gRPC endpoints", value: ["127.0.0.1:2379"] },
  bool("debug", "enable client-side debug logging"),
  {
    ...string("write-out", "set the output format (fields, json, protobuf, simple, table)", "simple"),
    short: "w",
  },
  bool("hex", "print byte strings as hex encoded strings"),
  {
    name: "dial-timeout",
    kind: "duration",
    usage: "dial timeout for client connections",
    value: 2n * SECOND,
  },
  {
    name: "command-timeout",
    kind: "duration",
    usage: "timeout for short running command (excluding dial timeout)",
    value: 5n * SECOND,
  },
  {
    name: "keepalive-time",
    kind: "duration",
    usage: "keepalive time for client connections",
    value: 2n * SECOND,
  },
  {
    name: "keepalive-timeout",
    kind: "duration",
    usage: "keepalive timeout for client connections",
    value: 6n * SECOND,
  },
  {
    name: "max-request-bytes",
    kind: "int",
    usage: "client-side request send limit in bytes (if 0, it defaults to 2.0 MiB (2 * 1024 * 1024).)",
  },
  {
    name: "max-recv-bytes",
    kind: "int",
    usage: 'client-side response receive limit in bytes (if 0, it defaults to "math.MaxInt32")',
  },
  bool("insecure-transport", "disable transport security for client connections", true),
  bool("insecure-discovery", "accept insecure SRV records describing cluster endpoints", true),
  bool(
    "insecure-skip-tls-verify",
    "skip server certificate verification (CAUTION: this option should be enabled only for testing purposes)",
  ),
  string("cert", "identify secure client using this TLS certificate file"),
  string("key", "identify secure client using this TLS key file"),
  string("cacert", "verify certificates of TLS-enabled secure servers using this CA bundle"),
  string(
    "auth-jwt-token",
    "JWT token used for authentication (if this option is used, --user and --password should not be set)",
  ),
  string("user", "username[:password] for authentication (prompt if password is not supplied)"),
  string(
    "password",
    "password for authentication (if this option is used, --user option shouldn't include password)",
  ),
  {
    ...string("discovery-srv", "domain name to query for SRV records describing cluster endpoints"),
    short: "d",
  },
  string("discovery-srv-name", "service name to query when using DNS discovery"),
].map((flag) => ({ ...flag, hidden: true }) as FlagSpec);

const get: CommandSpec = {
  use: GET_USE,
  short: "Gets the key or a range of keys",
  group: KV,
  flags: getFlags,
  run: lazily(
    () => import("./run/get.ts"),
    (m) => m.run,
  ),
};

const PUT_LONG = `
Puts the given key into the store.

When <value> begins with '-', <value> is interpreted as a flag.
Insert '--' for workaround:

$ put <key> -- <value>
$ put -- <key> <value>

If <value> isn't given as a command line argument and '--ignore-value' is not specified,
this command tries to read the value from standard input.

If <lease> isn't given as a command line argument and '--ignore-lease' is not specified,
this command tries to read the value from standard input.

For example,
$ cat file | put <key>
will store the content of the file to <key>.
`;

const put: CommandSpec = {
  use: PUT_USE,
  short: "Puts the given key into the store",
  long: PUT_LONG,
  group: KV,
  flags: putFlags,
  run: lazily(
    () => import("./run/put.ts"),
    (m) => m.run,
  ),
};

const del: CommandSpec = {
  use: DEL_USE,
  short: "Removes the specified key or range of keys [key, range_end)",
  group: KV,
  flags: delFlags,
  run: lazily(
    () => import("./run/del.ts"),
    (m) => m.run,
  ),
};

const TXN_LONG = `Txn reads multiple etcd requests from standard input and applies them as a single atomic transaction.

A transaction consists of three components:
1) a list of conditions,
2) a list of requests to apply if all the conditions are true,
3) a list of requests to apply if any condition is false.

Example interactive stdin usage:

---
etcdctl txn -i
# compares:
mod("key1") > "0"

# success requests (get, put, delete):
put key1 "overwrote-key1"

# failure requests (get, put, delete):
put key1 "created-key1"
put key2 "some extra key"
---

Refer to https://github.com/etcd-io/etcd/blob/main/etcdctl/README.md#txn-options.`;

const txn: CommandSpec = {
  use: "txn [options]",
  short: "Txn processes all the requests in one transaction",
  long: TXN_LONG,
  group: KV,
  flags: [{ ...bool("interactive", "Input transaction in interactive mode"), short: "i" }],
  run: lazily(
    () => import("./run/txn.ts"),
    (m) => m.run,
  ),
};

const compaction: CommandSpec = {
  use: "compaction [options] <revision>",
  short: "Compacts the event history in etcd",
  group: KV,
  flags: [bool("physical", "'true' to wait for compaction to physically remove all old revisions")],
  run: lazily(
    () => import("./run/compaction.ts"),
    (m) => m.run,
  ),
};

const watch: CommandSpec = {
  use: "watch [options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
  short: "Watches events stream on keys or prefixes",
  group: KV,
  flags: watchFlags,
  run: lazily(
    () => import("./run/watch.ts"),
    (m) => m.run,
  ),
};

const leaseModule = () => import("./run/lease.ts");
const lease: CommandSpec = {
  use: "lease <subcommand>",
  short: "Lease related commands. Use `etcdctl lease --help` to see subcommands",
  long: "Lease related commands",
  group: KV,
  commands: [
    { use: "grant <ttl>", short: "Creates leases", run: lazily(leaseModule, (m) => m.grant) },
    { use: "revoke <leaseID>", short: "Revokes leases", run: lazily(leaseModule, (m) => m.revoke) },
    {
      use: "timetolive <leaseID> [options]",
      short: "Get lease information",
      flags: [bool("keys", "Get keys attached to this lease")],
      run: lazily(leaseModule, (m) => m.timeToLive),
    },
    { use: "list", short: "List all active leases", run: lazily(leaseModule, (m) => m.list) },
    {
      use: "keep-alive [options] <leaseID>",
      short: "Keeps leases alive (renew)",
      flags: [
        bool("once", "Resets the keep-alive time to its original value and cobrautl.Exits immediately"),
      ],
      run: lazily(leaseModule, (m) => m.keepAlive),
    },
  ],
};

const memberModule = () => import("./run/member.ts");
const member: CommandSpec = {
  use: "member <subcommand>",
  short: "Membership related commands. Use `etcdctl member --help` to see subcommands",
  long: "Membership related commands",
  group: MAINTENANCE,
  commands: [
    {
      use: "add <memberName> [options]",
      short: "Adds a member into the cluster",
      flags: [
        string("peer-urls", "comma separated peer URLs for the new member."),
        bool("learner", "indicates if the new member is raft learner"),
      ],
      run: lazily(memberModule, (m) => m.add),
    },
    {
      use: "remove <memberID>",
      short: "Removes a member from the cluster",
      run: lazily(memberModule, (m) => m.remove),
    },
    {
      use: "update <memberID> [options]",
      short: "Updates a member in the cluster",
      flags: [string("peer-urls", "comma separated peer URLs for the updated member.")],
      run: lazily(memberModule, (m) => m.update),
    },
    {
      use: "list",
      short: "Lists all members in the cluster",
      long: `When --write-out is set to simple, this command prints out comma-separated member lists for each endpoint.
The items in the lists are ID, Status, Name, Peer Addrs, Client Addrs, Is Learner.
`,
      flags: [string("consistency", "Linearizable(l) or Serializable(s)", "l")],
      run: lazily(memberModule, (m) => m.list),
    },
    {
      use: "promote <memberID>",
      short: "Promotes a non-voting member in the cluster",
      long: "Promotes a non-voting learner member to a voting one in the cluster.\n",
      run: lazily(memberModule, (m) => m.promote),
    },
  ],
};

const CLUSTER_FLAG = bool("cluster", "use all endpoints from the cluster member list");

const endpointModule = () => import("./run/endpoint.ts");
const endpoint: CommandSpec = {
  use: "endpoint <subcommand>",
  short: "Endpoint related commands. Use `etcdctl endpoint --help` to see subcommands",
  long: "Endpoint related commands",
  group: MAINTENANCE,
  persistentFlags: [CLUSTER_FLAG],
  commands: [
    {
      use: "health",
      short: "Checks the healthiness of endpoints specified in `--endpoints` flag",
      run: lazily(endpointModule, (m) => m.health),
    },
    {
      use: "status",
      short: "Prints out the status of endpoints specified in `--endpoints` flag",
      long: `When --write-out is set to simple, this command prints out comma-separated status lists for each endpoint.
The items in the lists are endpoint, ID, version, db size, is leader, is learner, raft term, raft index, raft applied index, errors.
`,
      run: lazily(endpointModule, (m) => m.status),
    },
    {
      use: "hashkv",
      short: "Prints the KV history hash for each endpoint in --endpoints",
      persistentFlags: [int64("rev", "maximum revision to hash (default: latest revision)")],
      run: lazily(endpointModule, (m) => m.hashkv),
    },
  ],
};

const maintenanceModule = () => import("./run/maintenance.ts");
const alarm: CommandSpec = {
  use: "alarm <subcommand>",
  short: "Alarm related commands. Use `etcdctl alarm --help` to see subcommands",
  long: "Alarm related commands",
  group: MAINTENANCE,
  commands: [
    { use: "disarm", short: "Disarms all alarms", run: lazily(maintenanceModule, (m) => m.alarmDisarm) },
    { use: "list", short: "Lists all alarms", run: lazily(maintenanceModule, (m) => m.alarmList) },
  ],
};

const defrag: CommandSpec = {
  use: "defrag",
  short: "Defragments the storage of the etcd members with given endpoints",
  group: MAINTENANCE,
  persistentFlags: [CLUSTER_FLAG],
  run: lazily(maintenanceModule, (m) => m.defrag),
};

const moveLeader: CommandSpec = {
  use: "move-leader <transferee-member-id>",
  short: "Transfers leadership to another etcd cluster member.",
  group: MAINTENANCE,
  run: lazily(maintenanceModule, (m) => m.moveLeader),
};

const downgrade: CommandSpec = {
  use: "downgrade <TARGET_VERSION>",
  short: "Downgrade related commands. Use `etcdctl downgrade --help` to see subcommands",
  long: "Downgrade related commands",
  group: MAINTENANCE,
  commands: [
    {
      use: "validate <TARGET_VERSION>",
      short: "Validate downgrade capability before starting downgrade",
      run: lazily(maintenanceModule, (m) => m.downgradeValidate),
    },
    {
      use: "enable <TARGET_VERSION>",
      short: "Start a downgrade action to cluster",
      run: lazily(maintenanceModule, (m) => m.downgradeEnable),
    },
    {
      use: "cancel",
      short: "Cancel the ongoing downgrade action to cluster",
      run: lazily(maintenanceModule, (m) => m.downgradeCancel),
    },
  ],
};

const SNAPSHOT_EXAMPLE = [
  "# Save snapshot to a given file",
  "etcdctl snapshot save /backup/etcd-snapshot.db",
  "",
  "# Get snapshot from given address and save it to file",
  "etcdctl snapshot save --endpoints=127.0.0.1:3000 /backup/etcd-snapshot.db",
  "",
  "# Get snapshot from given address with certificates",
  "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/ca.crt --cert=/etc/etcd/etcd.crt --key=/etc/etcd/etcd.key snapshot save /backup/etcd-snapshot.db",
  "",
  "# Get snapshot with certain user and password",
  "etcdctl --user=root --password=password123 snapshot save /backup/etcd-snapshot.db",
  "",
  "# Get snapshot from given address with timeout",
  "etcdctl --endpoints=https://127.0.0.1:2379 --dial-timeout=20s snapshot save /backup/etcd-snapshot.db",
  "",
  "# Save snapshot with desirable time format",
  "etcdctl snapshot save /mnt/backup/etcd/backup_$(date +%Y%m%d_%H%M%S).db",
]
  .map((line) => `  ${line}`)
  .join("\n");

const snapshot: CommandSpec = {
  use: "snapshot <subcommand>",
  short: "Manages etcd node snapshots",
  example: SNAPSHOT_EXAMPLE,
  group: MAINTENANCE,
  commands: [
    {
      use: "save <filename>",
      short: "Stores an etcd node backend snapshot to a given file",
      example: SNAPSHOT_EXAMPLE,
      run: lazily(
        () => import("./run/snapshot.ts"),
        (m) => m.run,
      ),
    },
  ],
};

const lockModule = () => import("./run/lock.ts");
const lock: CommandSpec = {
  use: "lock <lockname> [exec-command arg1 arg2 ...]",
  short: "Acquires a named lock",
  group: CONCURRENCY,
  flags: [{ name: "ttl", kind: "int", usage: "timeout for session", value: 10n }],
  run: lazily(lockModule, (m) => m.lock),
};

const elect: CommandSpec = {
  use: "elect <election-name> [proposal]",
  short: "Observes and participates in leader election",
  group: CONCURRENCY,
  flags: [{ ...bool("listen", "observation mode"), short: "l" }],
  run: lazily(lockModule, (m) => m.elect),
};

const authModule = () => import("./run/auth.ts");
const auth: CommandSpec = {
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
const user: CommandSpec = {
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
const role: CommandSpec = {
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

const makeMirror: CommandSpec = {
  use: "make-mirror [options] <destination>",
  short: "Makes a mirror at the destination etcd cluster",
  group: UTILITY,
  flags: [
    string("prefix", "Key-value prefix to mirror"),
    int64("rev", "Specify the kv revision to start to mirror"),
    {
      name: "max-txn-ops",
      kind: "uint",
      usage: "Maximum number of operations permitted in a transaction during syncing updates.",
      value: 128n,
    },
    string(
      "dest-prefix",
      "destination prefix to mirror a prefix to a different prefix in the destination cluster",
    ),
    bool("no-dest-prefix", "mirror key-values to the root of the destination cluster"),
    string("dest-cert", "Identify secure client using this TLS certificate file for the destination cluster"),
    string("dest-key", "Identify secure client using this TLS key file"),
    string("dest-cacert", "Verify certificates of TLS enabled secure servers using this CA bundle"),
    bool("dest-insecure-transport", "Disable transport security for client connections", true),
    string(
      "dest-user",
      "Destination username[:password] for authentication (prompt if password is not supplied)",
    ),
    string(
      "dest-password",
      "Destination password for authentication (if this option is used, --user option shouldn't include password)",
    ),
  ],
  run: lazily(
    () => import("./run/mirror.ts"),
    (m) => m.run,
  ),
};

const AFTER_CHECK = [
  bool("auto-compact", "Compact storage with last revision after test is finished."),
  bool("auto-defrag", "Defragment storage after test is finished."),
];
const LOADS = "Accepted workloads: s(small), m(medium), l(large), xl(xLarge)";
const checkModule = () => import("./run/check.ts");
const check: CommandSpec = {
  use: "check <subcommand>",
  short:
    "commands for checking properties of the etcd cluster. Use `etcdctl check --help` to see subcommands",
  long: "commands for checking properties of the etcd cluster",
  group: UTILITY,
  commands: [
    {
      use: "perf [options]",
      short: "Check the performance of the etcd cluster",
      flags: [
        string(
          "load",
          `The performance check's workload model. ${LOADS}. Different workload models use different configurations in terms of number of clients and expected throughput.`,
          "s",
        ),
        string("prefix", "The prefix for writing the performance check's keys.", "/etcdctl-check-perf/"),
        ...AFTER_CHECK,
      ],
      run: lazily(checkModule, (m) => m.perf),
    },
    {
      use: "datascale [options]",
      short: "Check the memory usage of holding data for different workloads on a given server endpoint.",
      long: "If no endpoint is provided, localhost will be used. If multiple endpoints are provided, first endpoint will be used.",
      flags: [
        string("load", `The datascale check's workload model. ${LOADS}`, "s"),
        string("prefix", "The prefix for writing the datascale check's keys.", "/etcdctl-check-datascale/"),
        ...AFTER_CHECK,
      ],
      run: lazily(checkModule, (m) => m.datascale),
    },
  ],
};

const COMPLETION_LONG = `To load completions:

Bash:

  $ source <(etcdctl completion bash)

  # To load completions for each session, execute once:
  # Linux:
  $ etcdctl completion bash > /etc/bash_completion.d/etcdctl
  # macOS:
  $ etcdctl completion bash > /usr/local/etc/bash_completion.d/etcdctl

Zsh:

  # If shell completion is not already enabled in your environment,
  # you will need to enable it.  You can execute the following once:

  $ echo "autoload -U compinit; compinit" >> ~/.zshrc

  # To load completions for each session, execute once:
  $ etcdctl completion zsh > "\${fpath[1]}/_etcdctl"

  # You will need to start a new shell for this setup to take effect.

fish:

  $ etcdctl completion fish | source

  # To load completions for each session, execute once:
  $ etcdctl completion fish > ~/.config/fish/completions/etcdctl.fish

PowerShell:

  PS> etcdctl completion powershell | Out-String | Invoke-Expression

  # To load completions for every new session, run:
  PS> etcdctl completion powershell > etcdctl.ps1
  # and source this file from your PowerShell profile.
`;

const SHELLS = ["bash", "zsh", "fish", "powershell"];
const completion: CommandSpec = {
  use: "completion [bash|zsh|fish|powershell]",
  short: "Generate completion script",
  long: COMPLETION_LONG,
  group: UTILITY,
  flagsInUseLine: false,
  args: args.all(args.exactly(1), args.oneOf(SHELLS)),
  run: lazily(
    () => import("./run/completion.ts"),
    (m) => m.run,
  ),
};

const miscModule = () => import("./run/misc.ts");

export const etcdctl: CommandSpec = {
  use: "etcdctl",
  short: "A simple command line client for etcd3.",
  suggestFor: ["etcdctl"],
  persistentFlags: GLOBAL_FLAGS,
  groups: [
    { id: KV, title: "Key-value commands" },
    { id: MAINTENANCE, title: "Cluster maintenance commands" },
    { id: CONCURRENCY, title: "Concurrency commands" },
    { id: AUTHENTICATION, title: "Authentication commands" },
    { id: UTILITY, title: "Utility commands" },
  ],
  commands: [
    get,
    put,
    del,
    txn,
    compaction,
    alarm,
    defrag,
    endpoint,
    moveLeader,
    watch,
    {
      use: "version",
      short: "Prints the version of etcdctl",
      group: UTILITY,
      run: lazily(miscModule, (m) => m.version),
    },
    lease,
    member,
    snapshot,
    makeMirror,
    lock,
    elect,
    auth,
    user,
    role,
    check,
    completion,
    downgrade,
    {
      use: "options",
      short: "Show the global command-line flags",
      group: UTILITY,
      run: lazily(miscModule, (m) => m.options),
    },
  ],
};
