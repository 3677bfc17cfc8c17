// The package's own entry: a whole server inside somebody's process, described by etcd's flags, without the environment. Called by
// users of the package; bin/etcd goes through main.ts, which may end the process where this throws. It never prints; it logs
// where --log-outputs says.
import { readFileSync } from "node:fs";
import { parseConfig } from "../config/parse.ts";
import { findDefaultHost } from "../node/default-route.ts";
import { createLogger } from "../node/logger.ts";
import { type Server, startServer } from "./server.ts";
import { StartError } from "./start-error.ts";

export type { Server } from "./server.ts";
// biome-ignore lint/performance/noBarrelFile: the public entry of the package, for users only.
export { StartError } from "./start-error.ts";

/**
 * Resolves when the server is ready; rejects with a StartError when it cannot start. One thing cannot be survived: when a flush of the
 * log fails nobody knows what is on disk, and the process ends.
 * ```ts
 * const server = await embed(["--data-dir", directory, "--log-outputs", "/dev/null"]);
 * await server.close();
 * ```
 */
export async function embed(flags: readonly string[]): Promise<Server> {
  const args = ["etcd", ...flags];
  const outcome = parseConfig({
    args,
    environment: {},
    readFile: (path) => readFileSync(path, "utf8"),
    defaultHost: findDefaultHost,
  });
  if (outcome.kind === "printed") throw new StartError((outcome.stderr || outcome.stdout).trim(), {});
  if (outcome.kind === "failed") {
    const last = outcome.logged.lines.at(-1);
    throw new StartError(last?.message ?? "failed to start etcd", last?.fields ?? {});
  }
  const logger = createLogger(outcome.config.logging, "embed/embed.ts");
  try {
    const server = await startServer(outcome.config, logger, args);
    return {
      ...server,
      close: async () => {
        await server.close();
        await logger.flush();
        logger.close();
      },
    };
  } catch (error) {
    logger.flushSync();
    logger.close();
    throw error;
  }
}
