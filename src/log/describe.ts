// The log in words: one line per file and the sums. For doctor, debug logs and tests alike; it must never touch the disk.
import type { ReclaimStore } from "./contract.ts";
import type { EntryTable } from "./entry-table.ts";
import type { LogFile } from "./log-file.ts";

export type LogPicture = {
  readonly files: readonly LogFile[];
  readonly table: EntryTable;
  readonly store: ReclaimStore | undefined;
  readonly cacheBytes: number;
  readonly cacheMisses: number;
  readonly bytesSinceCheckpoint: number;
  readonly imageBytes: number;
  readonly full: boolean;
};

export function describeLog(picture: LogPicture): string {
  const lines: string[] = [];
  let disk = picture.imageBytes;
  let live = 0;
  for (const file of picture.files) {
    disk += file.diskBytes;
    const name = file.disk.path.slice(file.disk.path.lastIndexOf("/") + 1);
    const entries = file.lastIndex === 0 ? "" : ` entries ${file.firstIndex}..${file.lastIndex}`;
    let share = "";
    if (picture.store !== undefined) {
      const bytes = picture.store.liveBytesOf(file.number);
      live += bytes;
      share = ` live ${Math.round((100 * bytes) / Math.max(1, file.diskBytes))} %`;
    }
    lines.push(`${name} ${file.sealed ? "sealed" : "open"} ${file.diskBytes} bytes${entries}${share}`);
  }
  const { table } = picture;
  lines.push(`entries ${table.startIndex + 1}..${table.lastIndex}, ${table.bytes} bytes`);
  lines.push(`disk ${disk} bytes${picture.store === undefined ? "" : `, live ${live}`}`);
  lines.push(`since checkpoint ${picture.bytesSinceCheckpoint} bytes, image ${picture.imageBytes} bytes`);
  lines.push(`cache ${picture.cacheBytes} bytes, ${picture.cacheMisses} misses`);
  if (picture.full) lines.push("no space left on the device");
  return lines.join("\n");
}
