// The Disk port in memory, for the simulator and for tests. A power loss (crash) keeps what was flushed, and of the rest what the
// dice say, sector by sector and name by name; that is all a real disk promises. It injects ENOSPC, EIO, slow operations and bit
// flips. It must never be kinder than a real disk: a name is durable only after syncDirectory, bytes only after sync.
import { type Millis, millis } from "../base/brand.ts";
import type { Clock } from "../ports/clock.ts";
import { type Disk, DiskError, type DiskFile } from "../ports/disk.ts";
import type { Random } from "../ports/random.ts";
import { Inode } from "./disk-inode.ts";

export type OperationKind =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "allocate"
  | "rename"
  | "remove"
  | "syncDirectory";

/** What an operation meets: nothing, an errno, or the end of the machine (the operation may have had its effect or not). */
export type Fault = undefined | "crash" | { readonly code: string };

export type SimDiskOptions = {
  readonly random: Random;
  readonly capacityBytes?: number;
  /** Asked before each operation; `count` counts all of them from 1. */
  readonly fault?: (kind: OperationKind, path: string, count: number) => Fault;
  /** How long an asynchronous operation takes; needs a clock. Without, all is done within the turn. */
  readonly delay?: (kind: OperationKind, path: string) => Millis;
  readonly clock?: Clock;
  /** Told of each synchronous write and flush: lets it take time. */
  readonly busy?: (kind: OperationKind) => void;
};

type NameChange = { readonly directory: string; readonly path: string; readonly inode: Inode | undefined };

function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;
  fault: SimDiskOptions["fault"];
  capacityBytes: number;
  /** Counts crashes: handles and locks of before are dead. */
  #life = 0;
  #crashed = false;
  #operations = 0;
  readonly #directories = new Set<string>(["/", "."]);
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  /** Changes of names that no syncDirectory has covered, in order. */
  #pendingNames: NameChange[] = [];
  readonly #locks = new Map<string, number>();

  constructor(options: SimDiskOptions) {
    this.#options = options;
    this.fault = options.fault;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  get operations(): number {
    return this.#operations;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  get usedBytes(): number {
    let used = 0;
    for (const inode of new Set(this.#names.values())) used += inode.size;
    return used;
  }

  /** Pulls the plug: all handles are dead until restart(). */
  crash(): void {
    if (this.#crashed) return;
    this.#crashed = true;
    const { random } = this.#options;
    const kept = random.below(this.#pendingNames.length + 1);
    for (const change of this.#pendingNames.slice(0, kept)) this.#applyDurable(change);
    this.#pendingNames = [];
    const keepNone = random.below(4) === 0;
    for (const inode of new Set([...this.#durableNames.values(), ...this.#names.values()])) {
      inode.crash(random, keepNone);
    }
    this.#names.clear();
    for (const [path, inode] of this.#durableNames) this.#names.set(path, inode);
    this.#locks.clear();
    this.#life++;
  }

  /** The machine is on again; what the disk holds is what the crash left. */
  restart(): void {
    this.#crashed = false;
  }

  /** The process died, the machine did not (kill -9): nothing written is lost, handles and locks are. */
  killProcess(): void {
    this.#life++;
    this.#locks.clear();
  }

  /** The disk as one process sees it: after a crash or kill its calls fail, whatever the dead process' code still tries. */
  attach(): Disk {
    const life = this.#life;
    const alive = <T>(path: string, call: () => Promise<T>): Promise<T> =>
      this.lives(life) ? call() : Promise.reject(new DiskError("EIO", path, "the process is dead"));
    return {
      open: (path, mode) => alive(path, () => this.open(path, mode, life)),
      exists: (path) => alive(path, () => this.exists(path)),
      list: (path) => alive(path, () => this.list(path)),
      rename: (from, to) => alive(from, () => this.rename(from, to, life)),
      remove: (path) => alive(path, () => this.remove(path, life)),
      makeDirectory: (path) => alive(path, () => this.makeDirectory(path)),
      syncDirectory: (path) => alive(path, () => this.syncDirectory(path, life)),
      lock: (path) => alive(path, () => this.lock(path)),
      freeBytes: (path) => alive(path, () => this.freeBytes(path)),
    };
  }

  flipBit(path: string, offset: number, bit: number): void {
    this.#inode(path).flip(offset, bit);
  }

  sizeOf(path: string): number {
    return this.#inode(path).size;
  }

  bytesOf(path: string): Uint8Array {
    const inode = this.#inode(path);
    return inode.data.slice(0, inode.size);
  }

  /** Puts a file there, durably: for tests that prepare or damage one. */
  place(path: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.write(bytes, 0);
    inode.sync();
    this.#directories.add(directoryOf(path));
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  async open(path: string, mode: "read" | "write" | "create", life: number = this.#life): Promise<DiskFile> {
    await this.step("open", path);
    this.#still(life, path);
    let inode = this.#names.get(path);
    if (inode !== undefined && mode === "create") throw new DiskError("EEXIST", path, `${path} exists`);
    if (inode === undefined) {
      if (mode === "read") throw new DiskError("ENOENT", path, `${path} does not exist`);
      if (!this.#directories.has(directoryOf(path)))
        throw new DiskError("ENOENT", path, `no directory for ${path}`);
      inode = new Inode();
      this.#changeName(path, inode);
    }
    return new SimFile(this, path, inode, this.#life);
  }

  async exists(path: string): Promise<boolean> {
    return this.#names.has(path) || this.#directories.has(path);
  }

  async list(directory: string): Promise<string[]> {
    this.#alive(directory);
    if (!this.#directories.has(directory))
      throw new DiskError("ENOENT", directory, `${directory} does not exist`);
    const names: string[] = [];
    for (const path of this.#names.keys()) {
      if (directoryOf(path) === directory) names.push(path.slice(directory.length + 1));
    }
    return names.sort();
  }

  async rename(from: string, to: string, life: number = this.#life): Promise<void> {
    await this.step("rename", from);
    this.#still(life, from);
    if (this.#directories.has(from)) {
      this.#renameDirectory(from, to);
      return;
    }
    const inode = this.#inode(from);
    // One change: a rename is atomic on disk as well.
    this.#names.delete(from);
    this.#names.set(to, inode);
    this.#pendingNames.push({ directory: directoryOf(to), path: `${from}\0${to}`, inode });
  }

  async remove(path: string, life: number = this.#life): Promise<void> {
    await this.step("remove", path);
    this.#still(life, path);
    this.#inode(path);
    this.#changeName(path, undefined);
  }

  async makeDirectory(directory: string): Promise<void> {
    this.#alive(directory);
    for (let path = directory; !this.#directories.has(path); path = directoryOf(path))
      this.#directories.add(path);
  }

  async syncDirectory(directory: string, life: number = this.#life): Promise<void> {
    await this.step("syncDirectory", directory);
    this.#still(life, directory);
    const rest: NameChange[] = [];
    for (const change of this.#pendingNames) {
      if (change.directory === directory) this.#applyDurable(change);
      else rest.push(change);
    }
    this.#pendingNames = rest;
  }

  async lock(path: string): Promise<{ unlock(): Promise<void> }> {
    this.#alive(path);
    if (this.#locks.has(path)) throw new DiskError("EAGAIN", path, `${path} is locked`);
    const life = this.#life;
    this.#locks.set(path, life);
    return {
      unlock: async () => {
        if (this.#locks.get(path) === life) this.#locks.delete(path);
      },
    };
  }

  async freeBytes(path: string): Promise<number> {
    this.#alive(path);
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }

  /** What SimFile calls before it does something. */
  async step(kind: OperationKind, path: string): Promise<void> {
    this.stepSync(kind, path);
    const { delay, clock } = this.#options;
    if (delay === undefined || clock === undefined) return;
    const wait = delay(kind, path);
    if (wait > 0) await new Promise<void>((resolve) => clock.after(millis(wait), resolve));
    this.#alive(path);
  }

  /** A synchronous operation keeps its caller busy for as long as an asynchronous one would have taken. */
  stepBusy(kind: OperationKind, path: string): void {
    this.stepSync(kind, path);
    this.#options.busy?.(kind);
  }

  stepSync(kind: OperationKind, path: string): void {
    this.#alive(path);
    this.#operations++;
    const fault = this.fault?.(kind, path, this.#operations);
    if (fault === undefined) return;
    if (fault !== "crash") throw new DiskError(fault.code, path, `${fault.code}: injected at ${kind}`);
    this.crash();
    this.#alive(path);
  }

  /** Throws ENOSPC when `inode` may not grow to `size`. */
  makeRoom(path: string, inode: Inode, size: number): void {
    const more = size - inode.size;
    // Adding up what is used is only worth it where there is an end to it.
    if (this.capacityBytes === Number.POSITIVE_INFINITY || more <= 0) return;
    if (this.usedBytes + more > this.capacityBytes) {
      throw new DiskError("ENOSPC", path, `no space left for ${path}`);
    }
  }

  lives(life: number): boolean {
    return life === this.#life && !this.#crashed;
  }

  /** What a process began and did not live to see done does not happen behind the back of the next one. */
  #still(life: number, path: string): void {
    if (!this.lives(life)) throw new DiskError("EIO", path, "the process is dead");
  }

  #alive(path: string): void {
    if (this.#crashed) throw new DiskError("EIO", path, "the machine is off");
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw new DiskError("ENOENT", path, `${path} does not exist`);
    return inode;
  }

  /** All or nothing as well: one change for whatever stands in it. */
  #renameDirectory(from: string, to: string): void {
    moveNames(this.#names, from, to);
    for (const path of [...this.#directories]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.#directories.delete(path);
      this.#directories.add(to + path.slice(from.length));
    }
    this.#pendingNames.push({ directory: directoryOf(to), path: `${from}\0${to}`, inode: undefined });
  }

  #changeName(path: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(path);
    else this.#names.set(path, inode);
    this.#pendingNames.push({ directory: directoryOf(path), path, inode });
  }

  #applyDurable(change: NameChange): void {
    const [first, second] = change.path.split("\0");
    if (second !== undefined && change.inode === undefined) moveNames(this.#durableNames, first!, second);
    else if (second !== undefined) {
      this.#durableNames.delete(first!);
      this.#durableNames.set(second, change.inode!);
    } else if (change.inode === undefined) this.#durableNames.delete(first!);
    else this.#durableNames.set(first!, change.inode);
  }
}

function moveNames(names: Map<string, Inode>, from: string, to: string): void {
  for (const [path, inode] of [...names]) {
    if (!path.startsWith(`${from}/`)) continue;
    names.delete(path);
    names.set(to + path.slice(from.length), inode);
  }
}

class SimFile implements DiskFile {
  readonly path: string;
  readonly #disk: SimDisk;
  readonly #inode: Inode;
  readonly #life: number;
  #closed = false;

  constructor(disk: SimDisk, path: string, inode: Inode, life: number) {
    this.#disk = disk;
    this.path = path;
    this.#inode = inode;
    this.#life = life;
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    await this.#step("write");
    this.#check();
    this.#put(chunks, position);
  }

  writeSync(chunks: readonly Uint8Array[], position: number): void {
    this.#check();
    this.#disk.stepBusy("write", this.path);
    this.#put(chunks, position);
  }

  async sync(): Promise<void> {
    const begun = this.#inode.dirty();
    await this.#step("sync");
    this.#check();
    this.#inode.sync(begun);
  }

  syncSync(): void {
    this.#check();
    this.#disk.stepBusy("sync", this.path);
    this.#inode.sync();
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    await this.#step("read");
    this.#check();
    return this.#get(into, position);
  }

  readSync(into: Uint8Array, position: number): number {
    this.#check();
    this.#disk.stepSync("read", this.path);
    return this.#get(into, position);
  }

  sizeSync(): number {
    this.#check();
    return this.#inode.size;
  }

  async truncate(size: number): Promise<void> {
    await this.#step("truncate");
    this.#check();
    this.#inode.truncate(size);
  }

  async allocate(size: number): Promise<void> {
    await this.#step("allocate");
    this.#check();
    this.#disk.makeRoom(this.path, this.#inode, size);
    this.#inode.extend(size);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #put(chunks: readonly Uint8Array[], position: number): void {
    let at = position;
    for (const chunk of chunks) {
      this.#disk.makeRoom(this.path, this.#inode, at + chunk.length);
      this.#inode.write(chunk, at);
      at += chunk.length;
    }
  }

  #get(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.#inode.size - position));
    into.set(this.#inode.data.subarray(position, position + count));
    return count;
  }

  /** Whoever awaits it checks again before the effect: the machine may go off in between. */
  async #step(kind: OperationKind): Promise<void> {
    this.#check();
    await this.#disk.step(kind, this.path);
  }

  #check(): void {
    if (this.#closed) throw new DiskError("EBADF", this.path, `${this.path} is closed`);
    if (!this.#disk.lives(this.#life)) throw new DiskError("EIO", this.path, "the machine was switched off");
  }
}
