// What etcdutl prints of a snapshot's status and of a hash, in each of its formats.

import { formatBigJson } from "../base/big-json.ts";
import { humanBytes } from "../base/human-bytes.ts";
import { ExitError, type Output } from "../cli/command.ts";
import { ExitCode } from "./exit.ts";
import { renderTable } from "./table.ts";

export type SnapshotStatus = {
  readonly hash: number;
  readonly revision: number;
  readonly totalKey: number;
  readonly totalSize: number;
  readonly version: string;
};

export type HashKv = {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
};

type Shown = {
  /** The object as encoding/json writes it. */
  readonly json: { [name: string]: number | string };
  readonly fields: readonly (readonly [string, number | string])[];
  readonly head: readonly string[];
  readonly row: readonly string[];
};

function shownStatus(status: SnapshotStatus): Shown {
  const { hash, revision, totalKey, totalSize, version } = status;
  return {
    json: { hash, revision, totalKey, totalSize, version },
    fields: [
      ["Hash", hash],
      ["Revision", revision],
      ["Keys", totalKey],
      ["Size", totalSize],
      ["Version", version],
    ],
    head: ["hash", "revision", "total keys", "total size", "version"],
    row: [hash.toString(16), String(revision), String(totalKey), humanBytes(totalSize), version],
  };
}

function shownHash(hashKv: HashKv): Shown {
  const { hash, hashRevision, compactRevision } = hashKv;
  return {
    json: { hash, hashRevision, compactRevision },
    fields: [
      ["Hash", hash],
      ["Hash revision", hashRevision],
      ["Compact revision", compactRevision],
    ],
    head: ["hash", "hash revision", "compact revision"],
    row: [hash, hashRevision, compactRevision].map(String),
  };
}

type Print = (shown: Shown) => string;

const PRINTERS = new Map<string, Print>([
  ["simple", ({ row }) => `${row.join(", ")}\n`],
  ["json", ({ json }) => `${formatBigJson(json)}\n`],
  ["fields", ({ fields }) => fields.map(([name, value]) => `"${name}" : ${value}\n`).join("")],
  ["table", ({ head, row }) => renderTable(head, [row])],
]);

export type Printer = { status(status: SnapshotStatus): void; hashKv(hashKv: HashKv): void };

/** The printer of `--write-out`; an unknown name ends the command at once, as in etcdutl. */
export function printerOf(format: string, output: Output): Printer {
  const print = PRINTERS.get(format);
  if (print === undefined && format !== "protobuf") {
    throw new ExitError(ExitCode.BadFeature, "unsupported output format");
  }
  const show = (shown: Shown): void => {
    if (print === undefined)
      throw new ExitError(ExitCode.BadFeature, `${format} not supported as output format`);
    output.out(print(shown));
  };
  return { status: (status) => show(shownStatus(status)), hashKv: (hashKv) => show(shownHash(hashKv)) };
}
