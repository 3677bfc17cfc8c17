// Go's durations ("1h2m3.5s") as command lines and messages carry them: parsed to nanoseconds, printed as time.Duration prints.
// Used by the flag parser and by the printers of etcdctl and etcdutl.
import { goQuote } from "./quote.ts";

const UNITS = new Map<string, bigint>([
  ["ns", 1n],
  ["us", 1_000n],
  ["µs", 1_000n],
  ["μs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);
const NANOS_MAX = (1n << 63n) - 1n;

/** Nanoseconds, or the error text of time.ParseDuration. */
export type ParsedDuration =
  | { readonly ok: true; readonly nanos: bigint }
  | { readonly ok: false; readonly error: string };

/** One "number unit" step of a duration, from the text's start. */
const STEP = /^([0-9]*)(\.([0-9]*))?([^0-9.]*)/;

/** As time.ParseDuration: the same texts for what it refuses. */
export function parseDuration(text: string): ParsedDuration {
  const invalid: ParsedDuration = { ok: false, error: `time: invalid duration ${goQuote(text)}` };
  let rest = text;
  const negative = rest.startsWith("-");
  if (negative || rest.startsWith("+")) rest = rest.slice(1);
  if (rest === "0") return { ok: true, nanos: 0n };
  if (rest === "") return invalid;
  let total = 0n;
  while (rest !== "") {
    const step = STEP.exec(rest)!;
    const whole = step[1]!;
    const fraction = step[3] ?? "";
    const unitName = step[4]!;
    if (whole === "" && fraction === "") return invalid;
    if (unitName === "") return { ok: false, error: `time: missing unit in duration ${goQuote(text)}` };
    const unit = UNITS.get(unitName);
    if (unit === undefined) {
      return { ok: false, error: `time: unknown unit ${goQuote(unitName)} in duration ${goQuote(text)}` };
    }
    total += BigInt(whole === "" ? "0" : whole) * unit;
    if (fraction !== "") total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    if (total > NANOS_MAX) return invalid;
    rest = rest.slice(step[0].length);
  }
  return { ok: true, nanos: negative ? -total : total };
}

function fixed(value: bigint, unit: bigint, digits: number): string {
  const whole = value / unit;
  const fraction = (value % unit).toString().padStart(digits, "0").replace(/0+$/, "");
  return fraction === "" ? whole.toString() : `${whole}.${fraction}`;
}

/** As time.Duration's String: 0s, 1.5µs, 12.345ms, 1m30s, 2h0m0s. */
export function formatDuration(nanos: bigint): string {
  if (nanos === 0n) return "0s";
  const sign = nanos < 0n ? "-" : "";
  const n = nanos < 0n ? -nanos : nanos;
  if (n < 1_000n) return `${sign}${n}ns`;
  if (n < 1_000_000n) return `${sign}${fixed(n, 1_000n, 3)}µs`;
  if (n < 1_000_000_000n) return `${sign}${fixed(n, 1_000_000n, 6)}ms`;
  const minutes = n / 60_000_000_000n;
  const seconds = `${fixed(n % 60_000_000_000n, 1_000_000_000n, 9)}s`;
  if (minutes === 0n) return sign + seconds;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}
