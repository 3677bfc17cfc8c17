// Prometheus' text format as Go's client writes it, byte by byte: numbers, escapes, label lists. Called by the registry only.

export type Labels = Readonly<Record<string, string>>;

/**
 * Go's strconv.FormatFloat(value, 'g', -1, 64): the shortest digits that read back equal, with an exponent of at least two
 * digits below 1e-4 and from 1e+06 on.
 */
export function formatFloat(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  if (Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e6)) return String(value);
  const text = value.toExponential();
  const at = text.indexOf("e") + 1;
  const exponent = text.slice(at + 1);
  return text.slice(0, at + 1) + (exponent.length < 2 ? `0${exponent}` : exponent);
}

export function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

export function escapeLabelValue(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

/** Names in byte order, as Go's client sorts them: `a="1",b="2"`, or nothing. */
export function labelList(labels: Labels): string {
  const names = Object.keys(labels).sort(byteOrder);
  return names.map((name) => `${name}="${escapeLabelValue(labels[name]!)}"`).join(",");
}

export function byteOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
