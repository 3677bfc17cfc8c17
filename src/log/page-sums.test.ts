// Goal: the combined checksum is the one of the pages together, so that a page with any wrong byte makes it differ.
// Method: random pages against zlib.
import assert from "node:assert/strict";
import { randomFillSync } from "node:crypto";
import { test } from "node:test";
import { nodeDigest } from "../node/digest.ts";
import { PAGE_BYTES } from "./log-file.ts";
import { PageSums } from "./page-sums.ts";

test("the checksum of pages together comes from those of each", () => {
  const digest = nodeDigest();
  const sums = new PageSums(digest);
  const bytes = randomFillSync(new Uint8Array(7 * PAGE_BYTES));
  const crcs = Uint32Array.from({ length: 7 }, (_, page) =>
    digest.crc32(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
  );
  for (let first = 0; first <= 7; first++) {
    for (let end = first; end <= 7; end++) {
      const expected = digest.crc32(bytes.subarray(first * PAGE_BYTES, end * PAGE_BYTES));
      assert.equal(sums.combined(crcs, first, end), expected, `pages ${first} to ${end}`);
    }
  }
  for (let page = 0; page < 7; page++) {
    const wrong = crcs.slice();
    wrong[page] = wrong[page]! ^ 0x8000_0000;
    assert.notEqual(sums.combined(wrong, 0, 7), sums.combined(crcs, 0, 7));
  }
});
