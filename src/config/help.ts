// The help: usage lines as etcd's (to stderr, also after a wrong flag), and the table of flags by section (to stdout).
import { CAIRN_VERSION, SERVER_VERSION } from "../base/version.ts";
import { describeGates } from "./feature-gates.ts";
import { FLAGS, type FlagDefinition } from "./flag-table.ts";

export function usageText(): string {
  return `Usage:

  etcd [flags]
    Start an etcd server.

  etcd --version
    Show the version of etcd.

  etcd -h | --help
    Show this help.

  etcd --config-file
    Path of a configuration file; all other flags and the environment are then ignored.
    Durations in the file are integers of nanoseconds (600000000000 for 10m): forms such as "10m" are for the
    command line only.

  etcd gateway
    Run the TCP gateway in front of a cluster. (Not supported yet.)

  etcd grpc-proxy
    Run the gRPC proxy in front of a cluster. (Not supported yet.)

  This is Cairn ${CAIRN_VERSION}: etcd ${SERVER_VERSION}, written anew. Every flag is also an environment variable: --data-dir is
  ETCD_DATA_DIR. The --experimental-* flags of etcd 3.6 still work.

`;
}

export function helpText(): string {
  let text = "";
  let section = "";
  for (const flag of FLAGS) {
    if (flag.section === "") continue;
    if (flag.section !== section) {
      section = flag.section;
      text += `\n${section === "Unsafe" ? "Unsafe feature" : section}:\n`;
    }
    text += flagHelp(flag);
  }
  return `${text}\nThe unsafe flags give up guarantees of the consensus protocol. Do not use them on data that you need.\n`;
}

function flagHelp(flag: FlagDefinition): string {
  const shown = flag.shown ?? flag.default;
  let text = `  --${flag.name} '${shown}'\n    ${flag.usage}\n`;
  if (flag.kind === "gates") for (const gate of describeGates()) text += `    ${gate}\n`;
  return text;
}
