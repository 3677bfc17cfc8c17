// The Cluster service: who belongs to the cluster, and changes of it. Headers carry no revision here, as in etcd.
import { Code, type EtcdError, errors, etcdError } from "../base/errors.ts";
import type { ClusterMember } from "../cluster/membership.ts";
import { parsePeerUrls } from "../cluster/peer-urls.ts";
import type { Member } from "../member/member.ts";
import {
  decodeMemberAddRequest,
  decodeMemberListRequest,
  decodeMemberPromoteRequest,
  decodeMemberRemoveRequest,
  decodeMemberUpdateRequest,
  encodeMemberListResponse,
  encodeMemberUpdateResponse,
  type Member as MemberMessage,
} from "../wire/generated/etcdserverpb.ts";
import type { Method, ServerCall } from "./call.ts";
import type { Headers } from "./headers.ts";
import { unary } from "./kv.ts";

const ONE_MEMBER_ONLY = etcdError(
  Code.Unimplemented,
  "etcdserver: clusters of more than one member are not supported by this version of Cairn",
);

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
    const answer = (): void => {
      const members = this.#member.membership.members().map(toMessage);
      call.send(encodeMemberListResponse({ header: this.#headers.withoutRevision(), members }));
      call.end();
    };
    if (linearizable) this.#member.read({ ready: answer, failed: (error) => call.fail(error) });
    else answer();
  }

  add(call: ServerCall, message: Uint8Array): void {
    const urls = parsePeerUrls(decodeMemberAddRequest(message).peerUrls);
    call.fail(urls === undefined ? errors.memberBadUrls : ONE_MEMBER_ONLY);
  }

  /** The last member cannot go: nobody would be left to agree to it. */
  remove(call: ServerCall, message: Uint8Array): void {
    const id = decodeMemberRemoveRequest(message).id as never;
    call.fail(this.#member.membership.validate({ kind: "remove", id }) ?? errors.memberNotEnoughStarted);
  }

  promote(call: ServerCall, message: Uint8Array): void {
    const id = decodeMemberPromoteRequest(message).id as never;
    call.fail(this.#member.membership.validate({ kind: "promote", id }) ?? ONE_MEMBER_ONLY);
  }

  update(call: ServerCall, message: Uint8Array): void {
    const { id, peerUrls } = decodeMemberUpdateRequest(message);
    this.#member.changeMembership(
      { kind: "update", id: id as never, peerUrls },
      {
        changed: () => {
          const members = this.#member.membership.members().map(toMessage);
          call.send(encodeMemberUpdateResponse({ header: this.#headers.withoutRevision(), members }));
          call.end();
        },
        failed: (error: EtcdError) => call.fail(error),
      },
    );
  }
}

function toMessage(member: ClusterMember): MemberMessage {
  const { id, name, isLearner } = member;
  return { id, name, peerUrls: [...member.peerUrls], clientUrls: [...member.clientUrls], isLearner };
}
