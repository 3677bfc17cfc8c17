// What etcd can and this version of Cairn cannot yet: said in an error at start, never silently ignored. The list may only shrink.
// A flag whose meaning for a cluster of one member is "nothing to do" is not here: manifests always carry those.
import type { FlagValues } from "./flag-values.ts";

type NotYet = {
  readonly flag: string;
  readonly why: string;
  asked(values: FlagValues): boolean;
};

function switchedOn(flag: string, why: string): NotYet {
  return { flag, why, asked: (values) => values.bool(flag) };
}

const NOT_YET: readonly NotYet[] = [
  switchedOn("memory-mlock", "the memory of a Node process cannot be locked in RAM"),
  switchedOn("socket-reuse-port", "Node sets SO_REUSEPORT from version 23 on only"),
  switchedOn("enable-distributed-tracing", "no traces are sent"),
  {
    flag: "auth-token",
    why: "tokens are of the kind 'simple'",
    asked: (values) => values.text("auth-token").split(",")[0] === "jwt",
  },
];

export function notYetProblem(values: FlagValues): string | undefined {
  const entry = NOT_YET.find((one) => one.asked(values));
  return entry === undefined ? undefined : notYetText(`--${entry.flag}`, entry.why);
}

export function notYetText(what: string, why: string): string {
  return `${what} is not supported yet by this version of Cairn: ${why}`;
}
