// The check of watches, by etcd's guarantees: ordered (revisions ascend), unique (none twice), reliable (none missing between the
// first and the last), atomic (a revision's events come together), resumable (all that across lost streams), bookmarkable (a progress
// notice is true), with right previous values.
import { type History, type Row, showChanges, showRow } from "../history.ts";
import { byRevision, type WatchRecord } from "../watch-client.ts";

/** Holds every watcher against what the history knows of every revision. `compacted`: the newest compaction that anybody asked for. */
export function checkWatches(history: History, watches: readonly WatchRecord[], compacted: number): number {
  const previous = previousRows(history);
  let events = 0;
  for (const [at, watch] of watches.entries())
    events += new Watching(history, watch, at, compacted, previous).run();
  return events;
}

/** What each key was before each of its revisions: `${revision}/${key}`. */
function previousRows(history: History): Map<string, Row | undefined> {
  const found = new Map<string, Row | undefined>();
  const rows = new Map<string, Row | undefined>();
  for (let revision = 2; revision <= history.newestRevision; revision++) {
    for (const { key, row } of history.revisions.get(revision) ?? []) {
      found.set(`${revision}/${key}`, rows.get(key));
      rows.set(key, row);
    }
  }
  return found;
}

class Watching {
  readonly #history: History;
  readonly #watch: WatchRecord;
  readonly #name: string;
  readonly #compacted: number;
  readonly #previous: ReadonlyMap<string, Row | undefined>;
  /** The last revision that is accounted for. */
  #at: number;

  constructor(
    history: History,
    watch: WatchRecord,
    number: number,
    compacted: number,
    previous: ReadonlyMap<string, Row | undefined>,
  ) {
    this.#history = history;
    this.#watch = watch;
    const { key, end } = watch.options;
    this.#name = `watch ${number} of ${key}..${end} from ${watch.options.startRevision}`;
    this.#compacted = compacted;
    this.#previous = previous;
    this.#at = watch.from - 1;
  }

  run(): number {
    const { deliveries, progress, from } = this.#watch;
    if (from === 0) return 0;
    let events = 0;
    let notices = 0;
    for (let i = 0; i <= deliveries.length; i++) {
      for (; notices < progress.length && progress[notices]!.after === i; notices++)
        this.#owed(progress[notices]!.revision, "though a progress notice said that nothing is outstanding");
      const response = deliveries[i];
      if (response === undefined) break;
      events += response.length;
      for (const [revision, changes] of byRevision(response)) this.#revision(revision, showChanges(changes));
      if (this.#watch.options.prevKv)
        for (const { revision, change, previous } of response)
          this.#checkPrevious(revision, change.key, previous);
    }
    if (!this.#watch.closed)
      this.#owed(this.#history.newestRevision, "though the watch was served to the end");
    return events;
  }

  #revision(revision: number, shown: string): void {
    if (revision <= this.#at) {
      this.#violation(`saw revision ${revision} after ${this.#at}`);
      return;
    }
    this.#owed(revision - 1, `and then saw ${revision}`);
    const expected = this.#expected(revision);
    // At the compacted revision itself, what it replaced is gone already.
    if (shown !== expected && revision > this.#compacted)
      this.#violation(`saw ${shown} at revision ${revision} instead of ${expected}`);
    this.#at = revision;
  }

  /** Everything up to `revision` must have come. */
  #owed(revision: number, why: string): void {
    for (let each = this.#at + 1; each <= revision; each++) {
      const expected = this.#expected(each);
      if (expected !== "" && each > this.#watch.skippedTo) {
        this.#violation(`missed ${expected} at revision ${each}, ${why}`);
        break;
      }
    }
    this.#at = Math.max(this.#at, revision);
  }

  #expected(revision: number): string {
    const { key: start, end, noPut, noDelete } = this.#watch.options;
    const matching = (this.#history.revisions.get(revision) ?? []).filter(({ key, row }) => {
      if (row === undefined ? noDelete : noPut) return false;
      return end === "" ? key === start : key >= start && (end === "\0" || key < end);
    });
    return showChanges(matching);
  }

  #checkPrevious(revision: number, key: string, shown: Row | undefined): void {
    const expected = this.#previous.get(`${revision}/${key}`);
    if (shown === undefined && revision - 1 < this.#compacted) return;
    if (showRow(shown) !== showRow(expected))
      this.#violation(
        `was told that ${key} was ${showRow(shown)} before ${revision}; it was ${showRow(expected)}`,
      );
  }

  #violation(text: string): void {
    this.#history.violation(`${this.#name} ${text}`);
  }
}
