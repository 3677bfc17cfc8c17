// Goal: a subject with several common names is taken as Go takes it (crypto/x509/pkix, FillFromRDNSequence: each overwrites the one before).
// Method: subjects in the shapes that Node gives them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { commonNameOf } from "./peer-certificate.ts";

test("the last common name counts, and none is none", () => {
  assert.equal(commonNameOf({ CN: "one" }), "one");
  assert.equal(commonNameOf({ CN: ["one", "two"] }), "two");
  assert.equal(commonNameOf({ CN: "" }), "");
  assert.equal(commonNameOf({}), undefined);
  assert.equal(commonNameOf(undefined), undefined);
});
