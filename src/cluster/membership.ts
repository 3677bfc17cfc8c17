// Who belongs to the cluster: members, removed ids, cluster version, downgrade job. Changed only by committed entries (apply);
// read by the services. Pure, and the same on every member.
import type { ClusterId, MemberId } from "../base/brand.ts";
import { type EtcdError, errors } from "../base/errors.ts";

export type ClusterMember = {
  readonly id: MemberId;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
  /** Empty until the member has published itself. */
  readonly name: string;
  readonly clientUrls: readonly string[];
};

/** The order in which members are listed. */
export function byId(a: ClusterMember, b: ClusterMember): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

export type MemberChange =
  | { readonly kind: "add"; readonly member: ClusterMember }
  | { readonly kind: "promote"; readonly id: MemberId }
  | { readonly kind: "update"; readonly id: MemberId; readonly peerUrls: readonly string[] }
  | { readonly kind: "remove"; readonly id: MemberId };

export type DowngradeJob = { readonly enabled: boolean; readonly targetVersion: string };

export class Membership {
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  readonly #members = new Map<MemberId, ClusterMember>();
  readonly #removed = new Set<MemberId>();
  readonly #learnersMax: number;
  /** Members as the configuration or a running cluster names them, for as long as the log has not said who belongs to it. */
  #expected: readonly ClusterMember[] = [];
  /** `X.Y.0`, or undefined before it is decided. */
  version: string | undefined = undefined;
  /** How this member's own files are written: follows the cluster's version. Undefined = as before there were such versions. */
  storageVersion: string | undefined = undefined;
  downgrade: DowngradeJob = { enabled: false, targetVersion: "" };

  constructor(clusterId: ClusterId, localId: MemberId, learnersMax: number) {
    this.clusterId = clusterId;
    this.localId = localId;
    this.#learnersMax = learnersMax;
  }

  /** For a member that starts without data: whom it may ask and hear until its log tells. Changes are not judged by it. */
  expect(members: readonly ClusterMember[]): void {
    this.#expected = members;
  }

  /** The log, or files made of it, have said who belongs to the cluster. */
  get isKnown(): boolean {
    return this.#members.size > 0;
  }

  /** Ascending by id. */
  members(): ClusterMember[] {
    const known = this.#members.size === 0 ? this.#expected : this.#members.values();
    return [...known].sort(byId);
  }

  member(id: MemberId): ClusterMember | undefined {
    if (this.#members.size === 0) return this.#expected.find((member) => member.id === id);
    return this.#members.get(id);
  }

  get local(): ClusterMember | undefined {
    return this.member(this.localId);
  }

  get removed(): readonly MemberId[] {
    return [...this.#removed].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  get voters(): ClusterMember[] {
    return this.members().filter((member) => !member.isLearner);
  }

  /** etcd's ValidateConfigurationChange: what a committed change is refused for. */
  validate(change: MemberChange): EtcdError | undefined {
    const id = change.kind === "add" ? change.member.id : change.id;
    if (this.#removed.has(id)) return errors.memberNotFound;
    const known = this.#members.get(id);
    switch (change.kind) {
      case "add":
        return this.#validateAdd(change.member, known);
      case "promote":
        if (known === undefined) return errors.memberNotFound;
        return known.isLearner ? undefined : errors.memberNotLearner;
      case "update":
        if (known === undefined) return errors.memberNotFound;
        return this.#urlTaken(change.peerUrls, id) ? errors.peerUrlExist : undefined;
      case "remove":
        return known === undefined ? errors.memberNotFound : undefined;
    }
  }

  /** Applies a change that was validated. */
  apply(change: MemberChange): void {
    switch (change.kind) {
      case "add":
        this.#members.set(change.member.id, change.member);
        return;
      case "promote":
        this.#replace(change.id, (member) => ({ ...member, isLearner: false }));
        return;
      case "update":
        this.#replace(change.id, (member) => ({ ...member, peerUrls: change.peerUrls }));
        return;
      case "remove":
        this.#members.delete(change.id);
        this.#removed.add(change.id);
        return;
    }
  }

  /** What a member says of itself when it starts. A removed or unknown member's word is ignored, as in etcd. */
  setAttributes(id: MemberId, name: string, clientUrls: readonly string[]): void {
    this.#replace(id, (member) => ({ ...member, name, clientUrls }));
  }

  /** Puts back what a checkpoint or an import holds. */
  restore(
    members: readonly ClusterMember[],
    removed: readonly MemberId[],
    version: string | undefined,
  ): void {
    this.#members.clear();
    this.#removed.clear();
    for (const member of members) this.#members.set(member.id, member);
    for (const id of removed) this.#removed.add(id);
    this.version = version;
  }

  describe(): string {
    const rows = this.members().map(
      (m) => `${m.id.toString(16)} ${m.name || "unstarted"}${m.isLearner ? " learner" : ""}`,
    );
    return `cluster ${this.clusterId.toString(16)} version ${this.version ?? "undecided"}: ${rows.join(", ")}`;
  }

  #validateAdd(member: ClusterMember, known: ClusterMember | undefined): EtcdError | undefined {
    if (known !== undefined) return errors.memberExist;
    if (this.#urlTaken(member.peerUrls, member.id)) return errors.peerUrlExist;
    if (!member.isLearner) return undefined;
    const learners = [...this.#members.values()].filter((each) => each.isLearner).length;
    return learners + 1 > this.#learnersMax ? errors.tooManyLearners : undefined;
  }

  #urlTaken(urls: readonly string[], by: MemberId): boolean {
    for (const member of this.#members.values()) {
      if (member.id === by) continue;
      if (member.peerUrls.some((url) => urls.includes(url))) return true;
    }
    return false;
  }

  #replace(id: MemberId, change: (member: ClusterMember) => ClusterMember): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#members.set(id, change(member));
  }
}
