// What a caller gets when the bytes that it asked for are damaged on disk: etcd's DataLoss, never the bytes. The member raises the
// CORRUPT alarm, so that nothing is changed any more until somebody has looked.
import { errors } from "../base/errors.ts";
import { CorruptionError } from "../log/errors.ts";
import type { Member } from "../member/member.ts";
import type { Method } from "./call.ts";

export function answeringCorruption(member: Member, [path, method]: [string, Method]): [string, Method] {
  if (method.kind === "bidi") return [path, method];
  const { kind, handle } = method;
  return [
    path,
    {
      kind,
      handle: (call, message) => {
        try {
          handle(call, message);
        } catch (error) {
          if (!(error instanceof CorruptionError)) throw error;
          member.foundCorruption(error);
          call.fail(errors.corrupt);
        }
      },
    },
  ];
}
