// Response headers as apply makes them: the revision alone. Cluster, member and term are the answering member's, filled in by the
// service (specification 0, ResponseHeader).
import type { ResponseHeader } from "../wire/generated/etcdserverpb.ts";

export function headerOf(revision: number): ResponseHeader {
  return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
}
