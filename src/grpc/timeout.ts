// The grpc-timeout header: up to eight digits and a unit. Called by plan.ts once per header block; texts are grpc-go's.
import { Code, type EtcdError, etcdError } from "../base/errors.ts";
import { quote } from "./status.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

function malformed(reason: string): EtcdError {
  return etcdError(Code.Internal, `malformed grpc-timeout: ${reason}`);
}

/** Milliseconds, or the error that the request is answered with. */
export function parseTimeout(text: string): number | EtcdError {
  if (text.length < 2) return malformed(`transport: timeout string is too short: ${quote(text)}`);
  if (text.length > 9) return malformed(`transport: timeout string is too long: ${quote(text)}`);
  const unit = UNIT_MS[text.charAt(text.length - 1)];
  if (unit === undefined) return malformed(`transport: timeout unit is not recognized: ${quote(text)}`);
  const digits = text.slice(0, -1);
  if (!/^[0-9]+$/.test(digits)) {
    return malformed(`strconv.ParseUint: parsing ${quote(digits)}: invalid syntax`);
  }
  return Number(digits) * unit;
}
