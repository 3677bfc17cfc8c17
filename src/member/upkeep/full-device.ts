// What a member does about a device without room. Alone it refuses writes (NOSPACE). In a cluster nobody else has to suffer: a full follower
// lives on its reserve and then acknowledges nothing, a full leader hands over to a member with room, and NOSPACE is raised only
// when the members with room are no quorum, because then writes would soon hang. Members tell each other in the headers of /version;
// one of etcd's that answers has room, for etcd ends when it has none. Owned by Member.
import type { MemberId, Millis } from "../../base/brand.ts";
import { hexId } from "../../cluster/ids.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Member } from "../member.ts";
import type { AlarmRaiser } from "./alarm-raiser.ts";

const LOOK_MILLIS = 2000 as Millis;
const ASK_MILLIS = 1500;
/** So many looks in a row must find too few: a member that is started anew does not answer for a moment. */
const LOOKS_BEFORE_ALARM = 2;

export class FullDevice {
  readonly #member: Member;
  readonly #alarms: AlarmRaiser;
  #full = false;
  #refusing = false;
  #tooFew = 0;
  #looking = false;
  #timer: Timer | undefined;

  constructor(member: Member, alarms: AlarmRaiser) {
    this.#member = member;
    this.#alarms = alarms;
  }

  get full(): boolean {
    return this.#full;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The log has found no room, or has room again. */
  changed(full: boolean): void {
    if (full === this.#full) return;
    this.#full = full;
    this.#tooFew = 0;
    this.#timer?.cancel();
    if (full) this.#look();
    else this.#refuse(false);
  }

  #look(): void {
    const { membership, localId, network, stopped } = this.#member;
    if (!this.#full || stopped) return;
    const others = membership.voters.filter(({ id }) => id !== localId);
    if (others.length === 0) {
      this.#refuse(true);
      this.#lookAgain();
      return;
    }
    if (this.#looking) return;
    this.#looking = true;
    const asked = others.map(({ id, peerUrls }) =>
      network.peers.versions(peerUrls, ASK_MILLIS).then(
        ({ cairn }) => (cairn?.deviceFull === true ? undefined : id),
        () => undefined,
      ),
    );
    void Promise.all(asked).then((answers) => {
      this.#looking = false;
      if (!this.#full || this.#member.stopped) return;
      this.#judge(answers.filter((id) => id !== undefined));
      this.#lookAgain();
    });
  }

  #lookAgain(): void {
    this.#timer = this.#member.clock.after(LOOK_MILLIS, () => this.#look());
  }

  #judge(withRoom: readonly MemberId[]): void {
    const quorum = Math.floor(this.#member.membership.voters.length / 2) + 1;
    this.#handOver(withRoom);
    if (withRoom.length >= quorum) {
      this.#tooFew = 0;
      this.#refuse(false);
    } else if (++this.#tooFew >= LOOKS_BEFORE_ALARM) this.#refuse(true);
  }

  /** To whom among those with room has the most; an attempt that fails is made again at the next look. */
  #handOver(withRoom: readonly MemberId[]): void {
    const { raft, logger } = this.#member;
    if (!raft.isLeader || withRoom.length === 0) return;
    const { progress } = raft.status;
    let best: MemberId | undefined;
    let most = -1;
    for (const id of withRoom) {
      const one = progress.get(id);
      if (one === undefined || !one.recentActive || one.match <= most) continue;
      best = id;
      most = one.match;
    }
    if (best === undefined) return;
    logger.warn("handing leadership over; the device of this member is full", {
      "transferee-member-id": hexId(best),
    });
    raft.transferLeader(best);
  }

  #refuse(refusing: boolean): void {
    if (refusing === this.#refusing) return;
    this.#refusing = refusing;
    this.#alarms.spaceChanged(refusing);
  }
}
