// What other members ask this one on the peer port, answered as etcd's handlers answer: from this member alone, never by asking further,
// except for a promotion that the leader has to judge. The network (src/peer) turns the answers into HTTP.
import type { LeaseId, MemberId } from "../../base/brand.ts";
import { CAIRN_VERSION } from "../../base/version.ts";
import type { ClusterMember } from "../../cluster/membership.ts";
import { EtcdFault } from "../fault.ts";
import type { Member } from "../member.ts";
import { storageVersionOf } from "../membership/version-monitor.ts";
import { COPY_FORMAT } from "../snapshot/copy-format.ts";
import type { CairnTraits, LeaseTimeToLive, PeerHash, PeerService } from "./transport.ts";

export class MemberPeerService implements PeerService {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  members(): readonly ClusterMember[] {
    return this.#member.membership.members();
  }

  get clusterVersion(): string | undefined {
    return this.#member.membership.version;
  }

  get storageVersion(): string | undefined {
    return storageVersionOf(this.#member);
  }

  get traits(): CairnTraits {
    return { version: CAIRN_VERSION, deviceFull: this.#member.deviceFull, copyFormat: COPY_FORMAT };
  }

  promote(id: MemberId): Promise<readonly ClusterMember[]> {
    return new Promise((resolve, reject) => {
      const waiter = { changed: resolve, failed: rejecting(reject) };
      this.#member.reconfiguration.promote(id, waiter, () => false);
    });
  }

  renewLease(id: LeaseId): Promise<number> {
    return this.#member.leaseKeeper.renewed(id);
  }

  leaseTimeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseTimeToLive> {
    return new Promise((resolve, reject) => {
      const waiter = { found: resolve, failed: rejecting(reject) };
      this.#member.leaseKeeper.timeToLiveHere(id, withKeys, waiter);
    });
  }

  hashKv(revision: number): Promise<PeerHash> {
    return this.#member.hashByRevision(revision);
  }

  downgradeEnabled(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#member.read({
        ready: () => resolve(this.#member.membership.downgrade.enabled),
        failed: rejecting(reject),
      });
    });
  }
}

function rejecting(reject: (fault: EtcdFault) => void): (error: EtcdFault["etcdError"]) => void {
  return (error) => reject(new EtcdFault(error));
}
