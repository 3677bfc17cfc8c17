// Durations as Go's time.Duration prints them ("1.5ms", "2m0.25s"), for fields of log lines that etcd writes so.

/** Milliseconds, rounded to the microsecond below a second and to the millisecond above. */
export function goDuration(millis: number): string {
  if (!(millis > 0)) return "0s";
  if (millis < 1) return `${Math.max(1, Math.round(millis * 1000))}µs`;
  if (millis < 1000) return `${Math.round(millis * 1000) / 1000}ms`;
  const whole = Math.round(millis);
  const seconds = `${(whole % 60_000) / 1000}s`;
  const minutes = Math.floor(whole / 60_000);
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}
