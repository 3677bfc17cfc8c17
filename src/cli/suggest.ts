// "Did you mean this?": cobra's guess at a mistyped command. Called when a command line names no known command.
import type { Command } from "./command.ts";

/** A command this many edits away is suggested. */
const EDITS_MAX = 2;

/** Levenshtein distance of two lowercase names. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The suffix of an "unknown command" text; empty without a suggestion. */
export function suggestions(command: Command, typed: string): string {
  const lower = typed.toLowerCase();
  const names = command.commands
    .filter((child) => child.available)
    .filter((child) => {
      const name = child.name.toLowerCase();
      const explicit = child.spec.suggestFor?.some((other) => other.toLowerCase() === lower) ?? false;
      return editDistance(lower, name) <= EDITS_MAX || name.startsWith(lower) || explicit;
    })
    .map((child) => `\t${child.name}\n`);
  return names.length === 0 ? "" : `\n\nDid you mean this?\n${names.join("")}`;
}
