// The command tree of etcdutl 3.7: names, flags and texts as `etcdutl --help` shows them. Long descriptions are left out, because
// etcdutl's help is the usage alone.
import { SERVER_VERSION } from "../base/version.ts";
import { args, type CommandSpec } from "../cli/command.ts";
import { COMPLETION_SHELLS, completionScript } from "../cli/completion.ts";
import type { FlagSpec } from "../cli/flag.ts";
import { defrag } from "./defrag.ts";
import { hashKv } from "./hash-kv.ts";
import { migrate } from "./migrate.ts";
import { snapshotRestore } from "./snapshot-restore.ts";
import { snapshotStatus } from "./snapshot-status.ts";

const RESTORE_FLAGS: readonly FlagSpec[] = [
  { name: "data-dir", kind: "string", usage: "Path to the output data directory" },
  { name: "wal-dir", kind: "string", usage: "Path to the WAL directory (use --data-dir if none given)" },
  {
    name: "initial-cluster",
    kind: "string",
    value: "default=http://localhost:2380",
    usage: "Initial cluster configuration for restore bootstrap",
  },
  {
    name: "initial-cluster-token",
    kind: "string",
    value: "etcd-cluster",
    usage: "Initial cluster token for the etcd cluster during restore bootstrap",
  },
  {
    name: "initial-advertise-peer-urls",
    kind: "string",
    value: "http://localhost:2380",
    usage: "List of this member's peer URLs to advertise to the rest of the cluster",
  },
  { name: "name", kind: "string", value: "default", usage: "Human-readable name for this member" },
  {
    name: "skip-hash-check",
    kind: "bool",
    usage: "Ignore snapshot integrity hash value (required if copied from data directory)",
  },
  {
    name: "initial-memory-map-size",
    kind: "uint64",
    value: 10737418240n,
    usage:
      "Initial memory map size of the database in bytes. It uses the default value if not defined or defined to 0",
  },
  { name: "bump-revision", kind: "uint64", usage: "How much to increase the latest revision after restore" },
  {
    name: "mark-compacted",
    kind: "bool",
    usage:
      "Mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0, disallowed otherwise)",
  },
];

const SNAPSHOT: CommandSpec = {
  use: "snapshot <subcommand>",
  short: "Manages etcd node snapshots",
  commands: [
    {
      use: "restore <filename> --data-dir {output dir} [options]",
      short: "Restores an etcd member snapshot to an etcd directory",
      flags: RESTORE_FLAGS,
      run: snapshotRestore,
    },
    {
      use: "status <filename>",
      short: "Gets backend snapshot status of a given file",
      run: snapshotStatus,
    },
  ],
};

const MIGRATE: CommandSpec = {
  use: "migrate",
  short: "Migrates schema of etcd data dir files to make them compatible with different etcd version",
  flags: [
    { name: "data-dir", kind: "string", usage: "Path to the etcd data dir", required: true },
    {
      name: "target-version",
      kind: "string",
      usage:
        'Target etcd version to migrate contents of data dir. Minimal value 3.5. Format "X.Y" for example 3.6.',
      required: true,
    },
    {
      name: "force",
      kind: "bool",
      usage: "Ignore migration failure and forcefully override storage version. Not recommended.",
    },
  ],
  run: migrate,
};

export const ETCDUTL: CommandSpec = {
  use: "etcdutl",
  short: "An administrative command line tool for etcd3.",
  suggestFor: ["etcdutl"],
  persistentFlags: [
    {
      name: "timeout",
      kind: "duration",
      value: 10_000_000_000n,
      usage: "time to wait to obtain a file lock on db file, 0 to block indefinitely",
    },
    {
      name: "write-out",
      short: "w",
      kind: "string",
      value: "simple",
      usage: "set the output format (fields, json, protobuf, simple, table)",
    },
  ],
  commands: [
    {
      use: "defrag",
      short: "Defragments the storage of the etcd",
      flags: [
        {
          name: "data-dir",
          kind: "string",
          usage: "Required. Defragments a data directory not in use by etcd.",
          required: true,
        },
      ],
      run: defrag,
    },
    SNAPSHOT,
    {
      use: "hashkv <filename>",
      short: "Prints the KV history hash of a given file",
      args: args.exactly(1),
      flags: [{ name: "rev", kind: "int64", usage: "maximum revision to hash (default: latest revision)" }],
      run: hashKv,
    },
    {
      use: "version",
      short: "Prints the version of etcdutl",
      run: ({ output }) =>
        output.out(
          `etcdutl version: ${SERVER_VERSION}\nAPI version: ${SERVER_VERSION.split(".").slice(0, 2).join(".")}\n`,
        ),
    },
    {
      use: "completion [bash|zsh|fish|powershell]",
      short: "Generate completion script",
      flagsInUseLine: false,
      args: args.all(args.exactly(1), args.oneOf(COMPLETION_SHELLS)),
      run: ({ args: [shell], output }) => output.out(completionScript(shell!, "etcdutl")),
    },
    MIGRATE,
  ],
};
