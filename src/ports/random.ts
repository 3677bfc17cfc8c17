// Randomness, as the member sees it: real in src/node, seeded in src/sim.
export interface Random {
  /** An integer in [0, bound). */
  below(bound: number): number;
  /** `size` random bytes. */
  bytes(size: number): Uint8Array;
}
