// `etcdutl defrag`: writes the database of a directory anew, compact, and puts it in the old one's place. For data directories of
// etcd's that no etcd runs on; Cairn's own never need it, and a runbook that asks for it all the same goes on.
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { humanBytes } from "../base/human-bytes.ts";
import { ExitError, type Invocation } from "../cli/command.ts";
import { formatDuration } from "../cli/duration.ts";
import { logDirectory } from "../log/paths.ts";
import { consoleLog } from "./console-log.ts";
import { copyBuckets } from "./copy-buckets.ts";
import { openDatabase, replaceDatabase, withDatabase } from "./database.ts";
import { ExitCode, fileCall } from "./exit.ts";

const CALLER = "utl/defrag.ts";

export async function defrag({ flags, output }: Invocation): Promise<void> {
  const directory = flags.string("data-dir");
  const log = logDirectory(directory, "");
  if (existsSync(log)) {
    consoleLog(output)("info", CALLER, "finished defragmenting directory", {
      path: log,
      reason: "nothing to do: a running member gives space back by itself",
    });
    return;
  }
  const path = join(directory, "member", "snap", "db");
  try {
    await defragFile(path, flags.durationMillis("timeout"), output);
  } catch (error) {
    if (!(error instanceof ExitError) || error.code !== ExitCode.Error) throw error;
    throw new ExitError(ExitCode.Error, `Failed to defragment etcd data[${directory}] (${error.message})`);
  }
}

async function defragFile(path: string, timeoutMillis: number, output: Invocation["output"]): Promise<void> {
  fileCall("stat", path, () => statSync(path));
  const log = consoleLog(output);
  const database = await openDatabase(path, "exclusive", timeoutMillis, ExitCode.Panic);
  await withDatabase(database, ({ file }) => {
    const started = process.hrtime.bigint();
    const before = file.size;
    log("info", CALLER, "defragmenting", {
      path,
      "current-db-size-bytes": before,
      "current-db-size": humanBytes(before),
    });
    replaceDatabase(path, copyBuckets(file));
    const after = statSync(path).size;
    log("info", CALLER, "finished defragmenting directory", {
      path,
      "current-db-size-bytes-diff": after - before,
      "current-db-size-bytes": after,
      "current-db-size": humanBytes(after),
      took: formatDuration(process.hrtime.bigint() - started),
    });
  });
}
