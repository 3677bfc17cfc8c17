// Assertions of the programmer's own invariants; they stay on in production. A failed one ends the process (exit code 2, see
// src/node): a crashed member is a liveness bug, a wrong one is a safety bug. Never assert on what a client or a disk sent.

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The value, which the caller knows to be present. */
export function must<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new AssertionError(message);
  return value;
}

/** Marks the branch that the type checker proves to be impossible. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}

/** Others count on entries that this member once acknowledged and does not have: it must not go on under its id. etcd's raft panics. */
export class LostEntriesError extends Error {
  override readonly name = "LostEntriesError";
}

export function lostEntries(message: string): never {
  throw new LostEntriesError(message);
}
