// What a call of the client fails with. The text is clientv3's: etcd's own errors read as themselves, everything else as
// "rpc error: code = … desc = …". Scripts and etcdctl print it as it is.
import { Code, errors } from "../base/errors.ts";

const CODE_NAMES = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** Texts that clientv3 knows as etcd's own (its rpctypes), whatever code they come with. */
const KNOWN = new Set(
  Object.values(errors)
    .map((error) => error.message)
    .filter((text) => text.startsWith("etcdserver: ")),
);

export function codeName(code: number): string {
  return CODE_NAMES[code] ?? `Code(${code})`;
}

/** How grpc-go prints a status as an error. */
export function statusText(code: number, description: string): string {
  return `rpc error: code = ${codeName(code)} desc = ${description}`;
}

/** A failed call: `code` is the gRPC status code, `description` what the server (or the transport) said. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: number;
  readonly description: string;

  constructor(code: number, description: string, message?: string) {
    super(message ?? (KNOWN.has(description) ? description : statusText(code, description)));
    this.code = code;
    this.description = description;
  }

  /** True when this is the given error of etcd's table. */
  is(error: { readonly message: string }): boolean {
    return this.description === error.message;
  }

  /** The status as grpc-go prints it, also for etcd's own errors. */
  get status(): string {
    return statusText(this.code, this.description);
  }
}

/** The caller's own deadline, whatever the transport has to say about it. */
export function deadlineExceeded(description = "context deadline exceeded"): RpcError {
  return new RpcError(Code.DeadlineExceeded, description, "context deadline exceeded");
}

export function canceled(): RpcError {
  return new RpcError(Code.Canceled, "context canceled", "context canceled");
}

/** An error of the client itself, before anything is sent. */
export function clientError(message: string): RpcError {
  return new RpcError(Code.Unknown, message, message);
}
