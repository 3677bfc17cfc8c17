// An EtcdError as something to throw: how a promise between members says which of etcd's errors it ended with. Whoever answers a client
// unwraps it; inside core and services errors stay values.
import { errorText } from "../base/error-text.ts";
import { Code, type EtcdError, etcdError } from "../base/errors.ts";

export class EtcdFault extends Error {
  override readonly name = "EtcdFault";
  readonly etcdError: EtcdError;

  constructor(error: EtcdError) {
    super(error.message);
    this.etcdError = error;
  }
}

/** The error of a rejected promise for a client: its own, or Unknown with its text, as grpc-go passes plain errors on. */
export function etcdErrorOf(error: unknown): EtcdError {
  if (error instanceof EtcdFault) return error.etcdError;
  return etcdError(Code.Unknown, errorText(error));
}
