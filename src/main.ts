// The program: flags → configuration → a running server. Everything else is in src/embed, src/config and below.
import { configureProcess } from "./config/process.ts";
import { type Server, startServer } from "./embed/server.ts";
import { StartError } from "./embed/start-error.ts";
import { isForPerson, welcomeText } from "./embed/welcome.ts";
import { collectAlone } from "./node/collector.ts";
import { notifySystemd } from "./node/sd-notify.ts";
import { handleSignals, handleUncaught } from "./node/signals.ts";

collectAlone();
const args = [process.argv[1] ?? "etcd", ...process.argv.slice(2)];
const { config, logger } = configureProcess(args);
handleUncaught(logger);
try {
  const server = await startServer(config, logger, args);
  handleSignals(logger, () => server.close());
  // As etcd: a member that was removed ends without an error, so that its supervisor may let it rest.
  void server.removed.then(() => endRemoved(server));
  notifySystemd(logger);
  const surroundings = {
    program: process.argv[1] ?? "",
    isTerminal: process.stdout.isTTY === true,
    npmScript: process.env["npm_lifecycle_event"],
  };
  if (isForPerson(config, surroundings)) {
    await logger.flush();
    // Whoever pipes it away and stops reading stops no server.
    process.stdout.on("error", () => undefined);
    process.stdout.write(welcomeText(config, process.cwd()));
  }
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  logger.fatal(error.message, error.fields);
}

async function endRemoved(server: Server): Promise<void> {
  await server.close();
  await logger.flush();
  process.exit(0);
}
