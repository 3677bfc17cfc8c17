// Why a server does not start. main.ts ends the process with its line, users of the package catch it.
import { errorText } from "../base/error-text.ts";

/** Why a server did not start, in the words of its log line. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly fields: Readonly<Record<string, unknown>>;
  constructor(message: string, fields: Readonly<Record<string, unknown>>) {
    super(message);
    this.fields = fields;
  }
}

/** For what may go wrong while a server starts. */
export function cannotStart(error: unknown): never {
  if (error instanceof StartError) throw error;
  throw new StartError("failed to start etcd", { error: errorText(error) });
}
