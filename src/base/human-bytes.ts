// Sizes as the tools of etcd print them (go-humanize's Bytes): powers of 1000, one digit behind the point below ten.
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

export function humanBytes(size: number): string {
  if (size < 10) return `${size} B`;
  const exponent = Math.min(UNITS.length - 1, Math.floor(Math.log(size) / Math.log(1000) + 1e-12));
  const value = Math.floor((size / 1000 ** exponent) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${UNITS[exponent]}`;
}
