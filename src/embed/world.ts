// The real world of a member: disk, clock, digests, chance, and what becomes of the process when it cannot go on.
import type { Config } from "../config/config.ts";
import { CannotGoOnError } from "../member/membership/advice.ts";
import type { World } from "../member/open.ts";
import { nodeClock } from "../node/clock.ts";
import { tryLockDatabase } from "../node/database-lock.ts";
import { nodeDigest } from "../node/digest.ts";
import { nodeDisk } from "../node/disk.ts";
import { hashThread } from "../node/hash-thread.ts";
import type { NodeLogger } from "../node/logger.ts";
import type { MetricsRegistry } from "../node/metrics.ts";
import { nodeRandom } from "../node/random.ts";

/** Go's exit code of a panic. */
const PANIC_EXIT_CODE = 2;

export function nodeWorld(config: Config, logger: NodeLogger, metrics: MetricsRegistry): World {
  return {
    disk: nodeDisk({ flushes: !config.unsafeNoFsync }),
    clock: nodeClock(),
    digest: { ...nodeDigest(), sha256Stream: hashThread() },
    random: nodeRandom(),
    logger: logger.named("member/member.ts"),
    raftLogger: logger.named("raft/raft.ts", "raft"),
    metrics,
    lockDatabase: async (path) => tryLockDatabase(path, "shared"),
    onFatal: (error) => {
      if (error instanceof CannotGoOnError) cannotGoOn(logger, error);
      logger.write("fatal", "the log can no longer be trusted; ending the process", { error: error.message });
      logger.flushSync();
      process.exit(1);
    },
  };
}

/** As etcd's panic ends: its text, and code 2. */
function cannotGoOn(logger: NodeLogger, error: CannotGoOnError): never {
  logger.write("fatal", error.message, error.fields);
  logger.flushSync();
  process.exit(PANIC_EXIT_CODE);
}
