// The `hasleader` metadata: a caller that sets it wants an error rather than an answer from a member that has lost its leader.
// Metadata is looked at only while there is no leader, so it costs nothing otherwise.
import { errors } from "../base/errors.ts";
import type { Member } from "../member/member.ts";
import type { Method, ServerCall } from "./call.ts";

export function requiringLeader(member: Member, path: string, method: Method): [string, Method] {
  if (method.kind === "bidi") {
    const { open } = method;
    return [
      path,
      {
        kind: "bidi",
        open: (call) => {
          if (!refuses(member, call)) return open(call);
          call.fail(errors.noLeader);
          return IGNORED;
        },
      },
    ];
  }
  const { kind, handle } = method;
  return [
    path,
    {
      kind,
      handle: (call, message) => {
        if (member.raft.leader === 0n && refuses(member, call)) call.fail(errors.noLeader);
        else handle(call, message);
      },
    },
  ];
}

function refuses(member: Member, call: ServerCall): boolean {
  return member.raft.leader === 0n && call.metadata("hasleader") === "true";
}

const IGNORED = { message(): void {}, requestsEnded(): void {} };
