// Go's %q for strings, which etcd's error texts use around whatever the user typed.
const ESCAPES = new Map<string, string>([
  ["\u0007", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
  ["\\", "\\\\"],
  ['"', '\\"'],
]);

/** What Go calls printable: letters, marks, numbers, punctuation, symbols, and the plain space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

function escapeRune(rune: string): string {
  const known = ESCAPES.get(rune);
  if (known !== undefined) return known;
  if (PRINTABLE.test(rune)) return rune;
  const code = rune.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code > 0xffff) return `\\U${code.toString(16).padStart(8, "0")}`;
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

/** strconv.Quote of a text that is valid UTF-8. */
export function goQuote(text: string): string {
  let out = '"';
  for (const rune of text) out += escapeRune(rune);
  return `${out}"`;
}

/** %q of a single character: between single quotes. */
export function goQuoteRune(rune: string): string {
  if (rune === "'") return "'\\''";
  if (rune === '"') return "'\"'";
  return `'${escapeRune(rune)}'`;
}
