// Log lines on stderr as etcdctl's zap logger writes them: JSON, one per line, with the place in etcd's source that a reader of
// such logs may search for.
export type LogField = string | number;

function timestamp(): string {
  // Microseconds, which Node's clock does not tell.
  return new Date().toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
}

export function logLine(
  level: "info" | "warn" | "error" | "fatal",
  logger: string,
  caller: string,
  message: string,
  fields: Readonly<Record<string, LogField>> = {},
): void {
  const line = {
    level,
    ts: timestamp(),
    ...(logger === "" ? {} : { logger }),
    caller,
    msg: message,
    ...fields,
  };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}
