// What becomes of committed entries: each is applied, its rows go to the watch hub, and its result to whoever waits for it. The member
// calls it with every batch of the engine's, in order; nothing here waits, and nothing is applied elsewhere.
import { type Applied, Applier } from "../apply/applier.ts";
import type { EntryAtHand } from "../apply/context.ts";
import type { Millis } from "../base/brand.ts";
import { errors } from "../base/errors.ts";
import { AlarmType } from "../cluster/alarms.ts";
import { type Entry, EntryType } from "../log/contract.ts";
import { ApplyTimer } from "./apply-timer.ts";
import type { Member } from "./member.ts";
import { applyMemberChange } from "./membership/member-change.ts";
import type { Pending, Proposals } from "./proposals.ts";
import type { AlarmRaiser } from "./upkeep/alarm-raiser.ts";
import type { Compaction } from "./upkeep/compaction.ts";

export class ApplyLoop {
  readonly #member: Member;
  readonly #proposals: Proposals;
  readonly #alarms: AlarmRaiser;
  readonly #compaction: Compaction;
  readonly #applier: Applier;
  readonly #timer: ApplyTimer;
  readonly #answers: { readonly pending: Pending; readonly result: Applied }[] = [];

  constructor(member: Member, proposals: Proposals, alarms: AlarmRaiser, compaction: Compaction) {
    this.#member = member;
    this.#proposals = proposals;
    this.#alarms = alarms;
    this.#compaction = compaction;
    this.#applier = new Applier(member.applyContext);
    this.#timer = new ApplyTimer(
      member.clock,
      member.timings.applied,
      member.options.warningApplyMillis,
      (entry, result, millis) => member.slowLog.slowEntry(entry, result, millis),
    );
  }

  /** When it returns, events and replies are on their way. */
  run(entries: readonly Entry[]): void {
    const { clock, timings } = this.#member;
    const now = clock.now();
    this.#timer.begin(now);
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.type !== EntryType.Normal) this.#applyMemberChange(entry);
      else if (entry.data.length > 0) this.#applyEntry(entry, now);
    }
    const applied = this.#timer.end();
    timings.commit.observe((applied - now) / 1000);
    this.#flushEvents(applied);
    this.#answer(applied);
  }

  /** Hands the batch's events to the watchers, and times it when there was one. */
  #flushEvents(started: number): void {
    const { clock, hub, timings } = this.#member;
    const before = hub.eventsTotal;
    hub.flush();
    const events = hub.eventsTotal - before;
    if (events === 0) return;
    const seconds = (clock.now() - started) / 1000;
    timings.watchEvents.observe(seconds);
    timings.watchPerEvent.observe(seconds / events);
  }

  #applyEntry(entry: Entry, now: Millis): void {
    if (!isPut(entry)) this.#timer.separate();
    const member = this.#member;
    const { file, offset } = member.log.writer.placeOf(entry.index);
    const atHand: EntryAtHand = { term: entry.term, index: entry.index, data: entry.data, file, offset, now };
    const result = this.#applier.apply(atHand);
    const { changed } = member.applyContext;
    if (changed.length > 0) member.hub.notify(changed);
    this.#count(result);
    const { error } = result;
    const success = error === undefined || error === errors.compacted;
    this.#timer.applied(entry, result, success);
    if (!success) member.slowLog.refused(entry, error, member.clock.now() - now);
    const pending = this.#proposals.take(result.id);
    if (pending !== undefined) this.#answers.push({ pending, result });
  }

  #applyMemberChange(entry: Entry): void {
    const { id, error } = applyMemberChange(this.#member, entry);
    const pending = this.#proposals.take(id);
    if (pending !== undefined)
      this.#answers.push({ pending, result: { id, op: "ConfChange", response: undefined, error } });
  }

  /** Events first (hub.flush), then replies: nobody learns a revision from a reply whose events are not queued yet. */
  #answer(now: number): void {
    const answers = this.#answers;
    const { requests } = this.#member.timings;
    for (let i = 0; i < answers.length; i++) {
      const { pending, result } = answers[i]!;
      if (pending.type !== "") requests.observe(pending.type, true, (now - pending.started) / 1000);
      pending.waiter.applied(result);
    }
    answers.length = 0;
  }

  #count(result: Applied): void {
    const { counters, applyContext, leaseKeeper, versions } = this.#member;
    switch (result.op) {
      case "Compaction":
        if (result.error === undefined) this.#compaction.begin();
        break;
      case "Alarm":
        this.#alarms.tell();
        break;
      case "LeaseGrant":
        this.#countLease(result);
        break;
      case "LeaseRevoke":
        if (result.error === undefined) counters.leasesRevoked++;
        leaseKeeper.revoked();
        break;
      case "ClusterVersionSet":
        versions.versionSet();
        break;
    }
    if (result.error === errors.noSpace && !applyContext.alarms.has(AlarmType.NoSpace)) {
      this.#alarms.refused(0);
    }
  }

  #countLease({ response }: Applied): void {
    if (response === undefined || !("ttl" in response)) return;
    this.#member.counters.leasesGranted++;
    this.#member.timings.leaseTtl.observe(response.ttl);
  }
}

/** First byte of an entry that holds a put as members propose it. */
const PUT_TAG = 0x22;

function isPut(entry: Entry): boolean {
  return entry.data[0] === PUT_TAG;
}
