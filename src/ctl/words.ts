// A line of interactive input cut into words as etcdctl cuts it: quotes keep spaces, double-quoted words are Go literals.
import { Exit, fail } from "./environment.ts";
import { scanQuoted } from "./format.ts";

const WORDS = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*[^'"\s]?/g;

export function splitWords(line: string): string[] {
  return (line.match(WORDS) ?? []).map((word) => {
    if (word.startsWith("'")) return word.slice(1, -1);
    if (!word.startsWith('"')) return word;
    const literal = scanQuoted(word, 0);
    if (literal === undefined) return fail(Exit.InvalidInput, "bad syntax");
    return Buffer.from(literal.value).toString("utf8");
  });
}
