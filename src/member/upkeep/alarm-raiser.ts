// This member's own alarms: raised and cleared through the log, so that all members know. Owned by Member. Also tells of every alarm in
// the cluster that comes or goes.
import { databaseBytes } from "../../apply/quota.ts";
import type { MemberId } from "../../base/brand.ts";
import { errors } from "../../base/errors.ts";
import { humanBytes } from "../../base/human-bytes.ts";
import { type Alarm, AlarmType, alarmName } from "../../cluster/alarms.ts";
import { hexId } from "../../cluster/ids.ts";
import type { Fields } from "../../ports/logger.ts";
import { AlarmAction, encodeAlarmRequest } from "../../wire/generated/etcdserverpb.ts";
import type { Member } from "../member.ts";
import { requestTimeoutMillis } from "../options.ts";
import { RequestField } from "../request.ts";

/** A NOSPACE alarm of our own goes when the database and what was refused take no more of the quota than this. */
const QUOTA_CLEAR_SHARE = 0.95;
/** A request that outweighs half of the quota does not hold the alarm for ever. */
const QUOTA_CLEAR_SHARE_MIN = 0.5;
/** So many times a proposal's patience after a start, what a former process proposed has been applied. */
const FROM_BEFORE_TIMEOUTS = 3;

export class AlarmRaiser {
  readonly #member: Member;
  #pending = false;
  #deviceFull = false;
  /** Asked for, and not yet seen. */
  #raising = false;
  /** Somebody raised our alarm by hand: it is theirs to disarm. */
  #byHand = false;
  /** The size of the database at which what was refused has room, too. */
  #roomAtBytes = Number.POSITIVE_INFINITY;
  readonly #started: number;

  /** The volume has no room: what is left is for deletes, compactions and the alarm itself. */
  get deviceFull(): boolean {
    return this.#deviceFull;
  }
  #told: readonly Alarm[];

  constructor(member: Member) {
    this.#member = member;
    this.#told = [...member.applyContext.alarms.get(AlarmType.None)];
    this.#started = member.clock.now();
  }

  /** The device ran full, or has room again: the member turns read-only and back. */
  spaceChanged(full: boolean): void {
    this.#deviceFull = full;
    if (full) this.raise(AlarmType.NoSpace);
    else this.clearNoSpace();
  }

  raise(alarm: number): void {
    if (this.#pending || this.#isRaised(alarm)) return;
    this.#member.logger.warn("raising an alarm", { alarm: alarmName(alarm) });
    if (alarm === AlarmType.NoSpace) this.#roomAtBytes = Number.POSITIVE_INFINITY;
    this.#activate(alarm);
  }

  /** The quota has no room for a request of such a cost. With 0 it was applied all the same, because another member had let it in. */
  refused(cost: number): void {
    if (this.#pending || this.#isRaised(AlarmType.NoSpace)) return;
    const { logger, options, store } = this.#member;
    const { quotaBytes } = options;
    logger.warn("message exceeded backend quota; raising alarm", {
      "quota-size-bytes": quotaBytes,
      "quota-size": humanBytes(quotaBytes),
      error: errors.noSpace.message,
    });
    // Not before something was freed: what is refused now would be refused again.
    const roomFor = Math.max(QUOTA_CLEAR_SHARE * quotaBytes - cost, QUOTA_CLEAR_SHARE_MIN * quotaBytes);
    this.#roomAtBytes = Math.min(roomFor, databaseBytes(store) - 1);
    this.#activate(AlarmType.NoSpace);
  }

  /** For a member whose data was found to differ, or for nobody in particular (0). */
  raiseCorrupt(memberId: MemberId): void {
    const body = encodeAlarmRequest({ action: AlarmAction.ACTIVATE, memberId, alarm: AlarmType.Corrupt });
    this.#member.propose(RequestField.Alarm, body, { applied() {}, failed() {} });
  }

  /** Room again: the alarm that this member raised goes without anybody's doing. */
  clearNoSpace(): void {
    if (this.#pending || this.#byHand || !this.#isRaised(AlarmType.NoSpace) || this.#deviceFull) return;
    const { store, options, logger } = this.#member;
    if (databaseBytes(store) > Math.min(QUOTA_CLEAR_SHARE * options.quotaBytes, this.#roomAtBytes)) return;
    logger.info("space is available again; disarming the NOSPACE alarm of this member");
    this.#propose(AlarmAction.DEACTIVATE, AlarmType.NoSpace);
  }

  /** After an Alarm request was applied. */
  tell(): void {
    const { logger, applyContext } = this.#member;
    const before = this.#told;
    const now = [...applyContext.alarms.get(AlarmType.None)];
    this.#told = now;
    this.#attribute(before.some((each) => each.alarm === AlarmType.NoSpace && this.#isOurs(each)));
    for (const each of now) if (!before.includes(each)) logger.warn("alarm raised", fieldsOf(each));
    for (const each of before) if (!now.includes(each)) logger.info("alarm disarmed", fieldsOf(each));
  }

  /** What appears soon after a start was asked for by the process before. */
  #attribute(was: boolean): void {
    const is = this.#isRaised(AlarmType.NoSpace);
    if (!is) this.#byHand = false;
    if (!is || was) return;
    const { clock, options } = this.#member;
    const isFromBefore = clock.now() - this.#started < FROM_BEFORE_TIMEOUTS * requestTimeoutMillis(options);
    this.#byHand = !this.#raising && !isFromBefore;
    this.#raising = false;
  }

  #isRaised(alarm: number): boolean {
    return this.#member.applyContext.alarms.get(alarm).some((each) => this.#isOurs(each));
  }

  #isOurs({ memberId }: Alarm): boolean {
    return memberId === this.#member.localId;
  }

  #activate(alarm: number): void {
    this.#raising = true;
    this.#propose(AlarmAction.ACTIVATE, alarm);
  }

  #propose(action: number, alarm: number): void {
    if (this.#pending) return;
    this.#pending = true;
    const done = (): void => {
      this.#pending = false;
    };
    const body = encodeAlarmRequest({ action, memberId: this.#member.localId, alarm });
    this.#member.propose(RequestField.Alarm, body, { applied: done, failed: done });
  }
}

function fieldsOf({ memberId, alarm }: Alarm): Fields {
  return { alarm: alarmName(alarm), from: hexId(memberId) };
}
