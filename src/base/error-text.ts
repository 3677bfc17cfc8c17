// What was thrown, as text for a log line or an answer. Everybody who catches calls it; it never throws, whatever it is given.

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
