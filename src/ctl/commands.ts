// The tree of etcdctl's commands: names, flags and texts of version 3.7. What a command does is imported only when it runs, so
// that `etcdctl get` does not pay for the rest.
import type { CommandSpec } from "../cli/command.ts";
import { auth, role, user } from "./auth-commands.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";
import {
  AUTHENTICATION,
  bool,
  CONCURRENCY,
  DEL_USE,
  delFlags,
  GET_USE,
  getFlags,
  int64,
  KV,
  lazily,
  MAINTENANCE,
  PUT_USE,
  putFlags,
  string,
  UTILITY,
  watchFlags,
} from "./specs.ts";
import { check, completion, makeMirror } from "./utility-commands.ts";

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
