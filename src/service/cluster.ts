// The Cluster service: who belongs to the cluster, and changes of it. Headers carry no revision here, as in etcd.
import { type EtcdError, errors } from "../base/errors.ts";
import { computeMemberId } from "../cluster/ids.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { parsePeerUrls } from "../cluster/peer-urls.ts";
import type { Member } from "../member/member.ts";
import type { MembersWaiter } from "../member/membership/reconfiguration.ts";
import {
  decodeMemberAddRequest,
  decodeMemberListRequest,
  decodeMemberPromoteRequest,
  decodeMemberRemoveRequest,
  decodeMemberUpdateRequest,
  encodeMemberAddResponse,
  encodeMemberListResponse,
  encodeMemberPromoteResponse,
  encodeMemberRemoveResponse,
  encodeMemberUpdateResponse,
  type MemberListResponse,
  type Member as MemberMessage,
} from "../wire/generated/etcdserverpb.ts";
import type { Method, ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import { unary } from "./kv.ts";

export class ClusterService {
  readonly #member: Member;
  readonly #headers: Headers;

  constructor(member: Member, headers: Headers) {
    this.#member = member;
    this.#headers = headers;
  }

  methods(): [string, Method][] {
    const path = (name: string): string => `/etcdserverpb.Cluster/${name}`;
    return [
      [path("MemberAdd"), unary((call, message) => this.add(call, message))],
      [path("MemberRemove"), unary((call, message) => this.remove(call, message))],
      [path("MemberUpdate"), unary((call, message) => this.update(call, message))],
      [path("MemberList"), unary((call, message) => this.list(call, message))],
      [path("MemberPromote"), unary((call, message) => this.promote(call, message))],
    ];
  }

  list(call: ServerCall, message: Uint8Array): void {
    const { linearizable } = decodeMemberListRequest(message);
    const waiter = this.#waiter(call, encodeMemberListResponse);
    const answer = (): void => waiter.changed(this.#member.membership.members());
    if (linearizable) this.#member.read({ ready: answer, failed: (error) => call.fail(error) });
    else answer();
  }

  /** The new member's id is made of its URLs and the time: the same URLs may come back under another id. */
  add(call: ServerCall, message: Uint8Array): void {
    const { peerUrls, isLearner } = decodeMemberAddRequest(message);
    const urls = parsePeerUrls(peerUrls);
    if (urls === undefined) {
      call.fail(errors.memberBadUrls);
      return;
    }
    const { clock, sha1, reconfiguration } = this.#member;
    const id = computeMemberId(urls, "", Math.floor(clock.wall() / 1000), sha1);
    const member: ClusterMember = { id, peerUrls: urls, isLearner, name: "", clientUrls: [] };
    reconfiguration.add(
      member,
      this.#waiter(call, ({ header, members }) =>
        encodeMemberAddResponse({ header, member: toMessage(member), members }),
      ),
    );
  }

  remove(call: ServerCall, message: Uint8Array): void {
    const { id } = decodeMemberRemoveRequest(message);
    this.#member.reconfiguration.remove(id as never, this.#waiter(call, encodeMemberRemoveResponse));
  }

  promote(call: ServerCall, message: Uint8Array): void {
    const { id } = decodeMemberPromoteRequest(message);
    const waiter = this.#waiter(call, encodeMemberPromoteResponse);
    this.#member.reconfiguration.promote(id as never, waiter, () => call.done);
  }

  update(call: ServerCall, message: Uint8Array): void {
    const { id, peerUrls } = decodeMemberUpdateRequest(message);
    const waiter = this.#waiter(call, encodeMemberUpdateResponse);
    this.#member.reconfiguration.update(id as never, peerUrls, waiter);
  }

  #waiter(call: ServerCall, encode: (response: MemberListResponse) => Uint8Array): MembersWaiter {
    return {
      changed: (members) => {
        const header = this.#headers.withoutRevision();
        call.send(encode({ header, members: members.map(toMessage) }));
        call.end();
      },
      failed: (error: EtcdError) => call.fail(error),
    };
  }
}

function toMessage(member: ClusterMember): MemberMessage {
  const { id, name, isLearner } = member;
  return { id, name, peerUrls: [...member.peerUrls], clientUrls: [...member.clientUrls], isLearner };
}
