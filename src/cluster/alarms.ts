// The cluster's alarms: which member raised which. Raised and cleared through the log, read by quota checks and /health.
import type { MemberId } from "../base/brand.ts";

/** etcdserverpb.AlarmType. */
export const AlarmType = { None: 0, NoSpace: 1, Corrupt: 2 } as const;

/** As etcd names it in metrics and logs. */
export function alarmName(alarm: number): string {
  if (alarm === AlarmType.NoSpace) return "NOSPACE";
  return alarm === AlarmType.Corrupt ? "CORRUPT" : String(alarm);
}

export type Alarm = { readonly memberId: MemberId; readonly alarm: number };

export class Alarms {
  #alarms: Alarm[] = [];

  /** Returns the alarm, raised now or before. */
  activate(memberId: MemberId, alarm: number): Alarm {
    const known = this.#find(memberId, alarm);
    if (known !== undefined) return known;
    const raised = { memberId, alarm };
    this.#alarms.push(raised);
    return raised;
  }

  /** Returns the alarm that was cleared, or undefined when there was none. */
  deactivate(memberId: MemberId, alarm: number): Alarm | undefined {
    const known = this.#find(memberId, alarm);
    if (known === undefined) return undefined;
    this.#alarms = this.#alarms.filter((each) => each !== known);
    return known;
  }

  /** Of one type, or all (AlarmType.None). */
  get(alarm: number): readonly Alarm[] {
    return alarm === AlarmType.None ? this.#alarms : this.#alarms.filter((each) => each.alarm === alarm);
  }

  has(alarm: number): boolean {
    return this.#alarms.some((each) => each.alarm === alarm);
  }

  restore(alarms: readonly Alarm[]): void {
    this.#alarms = [...alarms];
  }

  #find(memberId: MemberId, alarm: number): Alarm | undefined {
    return this.#alarms.find((each) => each.memberId === memberId && each.alarm === alarm);
  }
}
