// Values that say who wrote them, of all the lengths at which the log behaves differently: a few bytes, some pages, more than a block.
import type { SeededRandom } from "../random.ts";

export function uniqueValue(random: SeededRandom, name: string): string {
  const dice = random.below(100);
  if (dice < 60) return name;
  if (dice < 90) return name.padEnd(random.between(100, 2000), "-");
  if (dice < 99) return name.padEnd(random.between(4000, 9000), "=");
  return name.padEnd(random.between(60_000, 80_000), "#");
}
