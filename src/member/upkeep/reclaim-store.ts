// The revision store as the log's reclaim wants to see it: a cursor over the rows of some files, and "stands elsewhere now".
import type { ReclaimCursor, ReclaimStore } from "../../log/contract.ts";
import type { FileNumber, Slot, SlotList } from "../../mvcc/contract.ts";
import { newSlotList } from "../../mvcc/slot-list.ts";
import type { Store } from "../../mvcc/store.ts";

export function reclaimStore(store: Store): ReclaimStore {
  return {
    liveBytesOf: (file) => store.liveBytesOf(file),
    rowsInFiles: (files) => new RowsInFiles(store, files),
    get relocatable(): boolean {
      return !store.checkpointing;
    },
    relocate: (relocation) => {
      store.relocate(relocation);
    },
  };
}

class RowsInFiles implements ReclaimCursor {
  readonly #store: Store;
  readonly #files: ReadonlySet<FileNumber>;
  readonly #rows: SlotList = newSlotList();
  #from: Uint8Array | undefined = undefined;
  #ended = false;

  constructor(store: Store, files: ReadonlySet<FileNumber>) {
    this.#store = store;
    this.#files = files;
  }

  next(max: number, visit: Parameters<ReclaimCursor["next"]>[1]): boolean {
    if (this.#ended) return false;
    const store = this.#store;
    this.#rows.length = 0;
    this.#from = store.rowsInFiles(this.#files, this.#from, max, this.#rows);
    this.#ended = this.#from === undefined;
    for (let i = 0; i < this.#rows.length; i++) {
      const slot = this.#rows.slots[i]! as Slot;
      visit(
        store.mainOf(slot),
        store.subOf(slot),
        store.fileOf(slot),
        store.offsetOf(slot),
        store.valueLengthOf(slot),
      );
    }
    return !this.#ended;
  }
}
