// Gives disk space back: copies the values that are still shown out of mostly dead files into runs, tells the store their new places,
// and has a checkpoint drop the old files. All of it in short slices and a share of the time beside running traffic; values that died in time are never
// copied. Log.reclaim runs it in the background, Defragment runs it at once.
import type { Millis, Revision } from "../base/brand.ts";
import { Duty } from "../base/duty.ts";
import type { FileNumber, ValueReader } from "../mvcc/contract.ts";
import type { Clock } from "../ports/clock.ts";
import type { ReclaimStore } from "./contract.ts";
import type { LogFile } from "./log-file.ts";
import { type RunOptions, RunWriter } from "./run.ts";

/**
 * Rows looked at, and bytes copied (as far as the last bite lets one guess), before the clock is asked whether this turn has taken long
 * enough: 64 values of a mebibyte would be a pause of their own.
 */
const BITE_ROWS = 64;
const BITE_BYTES = 128 << 10;
const SLICE_MILLIS_MAX = 1;
const SHARE = 0.25;
/** While somebody else's checkpoint holds the places of values, it is looked at so often. */
const HELD_MILLIS = 10;
/** Values in memory between their copy and their relocation; each costs 36 bytes, for the time of a reclaim. */
const MOVES_MAX = 1 << 18;
const MOVES_FIRST = 1 << 10;
/** Files more alive than this are left alone: copying them frees too little. */
const LIVE_SHARE_MAX = 0.8;
const LIVE_SHARE_MAX_FORCED = 0.95;

export type ReclaimOptions = RunOptions & {
  readonly clock: Clock;
  readonly values: Pick<ValueReader, "readValue">;
  readonly addFile: (file: LogFile) => void;
};

export type Shares = { readonly liveBytes: number; readonly diskBytes: number };

export function sharesOf(files: readonly LogFile[], store: ReclaimStore): Shares {
  let liveBytes = 0;
  let diskBytes = 0;
  for (const file of files) {
    liveBytes += store.liveBytesOf(file.number);
    diskBytes += file.diskBytes;
  }
  return { liveBytes, diskBytes };
}

/**
 * The files to empty, deadest first. `files` are those that could go: sealed, and of no more use to raft. Nothing while the dead bytes
 * are fewer than the live ones (and `slackBytes`): so the disk holds at most twice the live bytes, and a byte that stays alive is
 * copied about once per doubling of dead ones. Then enough files to bring the dead bytes down to a half of the live ones.
 */
export function chooseVictims(
  files: readonly LogFile[],
  store: ReclaimStore,
  slackBytes: number,
  forced: boolean,
): LogFile[] {
  const { liveBytes, diskBytes } = sharesOf(files, store);
  const allowed = Math.max(liveBytes, slackBytes);
  let dead = diskBytes - liveBytes;
  if (!forced && dead <= allowed) return [];
  const shareMax = forced ? LIVE_SHARE_MAX_FORCED : LIVE_SHARE_MAX;
  const share = (file: LogFile): number => store.liveBytesOf(file.number) / Math.max(1, file.diskBytes);
  const victims: LogFile[] = [];
  for (const file of files.slice().sort((a, b) => share(a) - share(b))) {
    if (share(file) > shareMax || (!forced && dead <= allowed / 2)) break;
    victims.push(file);
    dead -= file.diskBytes - store.liveBytesOf(file.number);
  }
  return victims;
}

/** Copied values on their way to their new places, in columns that begin small: most reclaims move little. */
class Moves {
  mains = new Float64Array(MOVES_FIRST);
  subs = new Uint32Array(MOVES_FIRST);
  fromFiles = new Float64Array(MOVES_FIRST);
  fromOffsets = new Uint32Array(MOVES_FIRST);
  files = new Float64Array(MOVES_FIRST);
  offsets = new Uint32Array(MOVES_FIRST);
  length = 0;

  /** A place for one more. */
  next(): number {
    if (this.length === this.mains.length) this.#grow();
    return this.length++;
  }

  #grow(): void {
    const wide = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(2 * column.length);
      larger.set(column);
      return larger;
    };
    const narrow = (column: Uint32Array): Uint32Array<ArrayBuffer> => {
      const larger = new Uint32Array(2 * column.length);
      larger.set(column);
      return larger;
    };
    this.mains = wide(this.mains);
    this.subs = narrow(this.subs);
    this.fromFiles = wide(this.fromFiles);
    this.fromOffsets = narrow(this.fromOffsets);
    this.files = wide(this.files);
    this.offsets = narrow(this.offsets);
  }
}

/** Copies what is alive in `victims` to runs and relocates it. Returns the bytes copied. On a failure nothing has changed. */
export async function copyLive(
  victims: readonly LogFile[],
  store: ReclaimStore,
  options: ReclaimOptions,
): Promise<number> {
  const moves = new Moves();
  const numbers = new Set<FileNumber>(victims.map((file) => file.number));
  const cursor = store.rowsInFiles(numbers);
  let copied = 0;
  for (let more = true; more; ) {
    const writer = new RunWriter(options);
    try {
      more = await fillRuns(cursor, writer, moves, options);
      for (const file of await writer.finish()) {
        copied += file.dataEnd;
        options.addFile(file);
      }
    } catch (error) {
      await writer.discard();
      throw error;
    }
    await relocateAll(moves, store, options.clock);
  }
  return copied;
}

/** Copies until the cursor ends (false) or the moves are full (true). */
async function fillRuns(
  cursor: ReturnType<ReclaimStore["rowsInFiles"]>,
  writer: RunWriter,
  moves: Moves,
  options: ReclaimOptions,
): Promise<boolean> {
  const { clock, values } = options;
  let bytes = 0;
  let rows = 1;
  const visit = (main: Revision, sub: number, file: FileNumber, offset: number, length: number): void => {
    bytes += length;
    const place = writer.add(values.readValue(file, offset, length));
    const at = moves.next();
    moves.mains[at] = main;
    moves.subs[at] = sub;
    moves.fromFiles[at] = file;
    moves.fromOffsets[at] = offset;
    moves.files[at] = place.file;
    moves.offsets[at] = place.offset;
  };
  const slices = new Slices(clock);
  for (;;) {
    bytes = 0;
    const more = cursor.next(rows, visit);
    rows = bytes > BITE_BYTES ? Math.max(1, rows >>> 1) : Math.min(BITE_ROWS, rows * 2);
    if (writer.full) await writer.drain();
    if (!more) return false;
    if (moves.length + BITE_ROWS > MOVES_MAX) return true;
    if (slices.over) await slices.next();
  }
}

async function relocateAll(moves: Moves, store: ReclaimStore, clock: Clock): Promise<void> {
  const slices = new Slices(clock);
  for (let i = 0; i < moves.length; i++) {
    while (!store.relocatable) await pause(clock);
    store.relocate({
      main: moves.mains[i]! as Revision,
      sub: moves.subs[i]!,
      fromFile: moves.fromFiles[i]! as FileNumber,
      fromOffset: moves.fromOffsets[i]!,
      toFile: moves.files[i]! as FileNumber,
      toOffset: moves.offsets[i]!,
    });
    if (i % BITE_ROWS === 0 && slices.over) await slices.next();
  }
  moves.length = 0;
}

function pause(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.after(HELD_MILLIS as Millis, resolve));
}

/** The slices of one job. */
class Slices {
  readonly #clock: Clock;
  readonly #duty = new Duty(SHARE);
  #began: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#began = clock.now();
  }

  get over(): boolean {
    return this.#clock.now() - this.#began >= SLICE_MILLIS_MAX;
  }

  /** Ends this slice, and waits until the next is due. */
  async next(): Promise<void> {
    const ended = this.#clock.now();
    this.#duty.worked(ended - this.#began, ended);
    do await this.#clock.yield();
    while (!this.#duty.isDue(this.#clock.now()));
    this.#began = this.#clock.now();
  }
}
