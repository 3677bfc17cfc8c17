// version and options: what needs no cluster.
import { flagUsages } from "../../cli/flag.ts";
import type { Run } from "../specs.ts";

const VERSION = "3.7.1";
const API_VERSION = "3.7";

export const version: Run = ({ output }) => {
  output.out(`etcdctl version: ${VERSION}\nAPI version: ${API_VERSION}\n`);
};

export const options: Run = ({ command, output }) => {
  const shown = command.inheritedFlags.map((flag) => ({ ...flag, spec: { ...flag.spec, hidden: false } }));
  output.out(`The following options can be passed to any command:\n\n${flagUsages(shown)}`);
};
