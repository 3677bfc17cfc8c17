// Tells systemd that the server is ready (Type=notify). The protocol is one datagram to the unix socket in NOTIFY_SOCKET; Node has
// no such sockets, so systemd's own tool sends it. As the message then comes from a child, a unit that runs without privileges
// needs NotifyAccess=all (or exec); as root the tool speaks for its parent. Called by main.ts once listeners accept.
import { spawn } from "node:child_process";
import type { Logger } from "../ports/logger.ts";

/** How long the tool may take before it is given up. */
const TOOL_MILLIS_MAX = 5000;

/** Without NOTIFY_SOCKET there is nobody to tell, which etcd logs as a success too. */
export function notifySystemd(logger: Logger, environment: NodeJS.ProcessEnv = process.env): void {
  logger.info("notifying init daemon");
  const socket = environment["NOTIFY_SOCKET"];
  if (socket === undefined || socket === "") {
    logger.info("successfully notified init daemon");
    return;
  }
  const child = spawn("systemd-notify", ["--ready"], {
    env: environment,
    stdio: "ignore",
    timeout: TOOL_MILLIS_MAX,
  });
  child.on("error", (error) =>
    logger.error("failed to notify systemd for readiness", { error: error.message }),
  );
  child.on("exit", (code, signal) => {
    if (code === 0) logger.info("successfully notified init daemon");
    else
      logger.error("failed to notify systemd for readiness", {
        error: `systemd-notify: ${signal ?? `exit code ${code}`}`,
      });
  });
  child.unref();
}
