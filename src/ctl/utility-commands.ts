// make-mirror, check and completion: the part of the command tree that etcdctl calls utilities.
import { args, type CommandSpec } from "../cli/command.ts";
import { bool, int64, lazily, string, UTILITY } from "./specs.ts";

export const makeMirror: CommandSpec = {
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
export const check: CommandSpec = {
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
export const completion: CommandSpec = {
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
