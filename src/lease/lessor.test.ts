// Goal: a lease lives exactly as long as it was granted and renewed, and only the primary says that one has ended.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeaseId, leaseId, type Millis, millis } from "../base/brand.ts";
import { errors, isEtcdError } from "../base/errors.ts";
import type { Key } from "../base/key.ts";
import { Lessor } from "./lessor.ts";

const at = (n: number): Millis => millis(n);
const id = (n: number): LeaseId => leaseId(BigInt(n));

function primary(): Lessor {
  const lessor = new Lessor(2);
  lessor.promote(at(0), 0);
  return lessor;
}

test("a grant below the minimum is raised, one above the maximum refused", () => {
  const lessor = primary();
  const lease = lessor.grant(id(1), 0, at(0));
  assert.ok(!isEtcdError(lease));
  assert.equal(lease.ttl, 2);
  assert.equal(lessor.grant(id(2), 9_000_000_001, at(0)), errors.leaseTtlTooLarge);
  assert.equal(lessor.grant(id(1), 5, at(0)), errors.leaseExist);
  assert.equal(lessor.grant(id(0), 5, at(0)), errors.leaseNotFound);
});

test("a lease is due when its time is over and not a millisecond earlier", () => {
  const lessor = primary();
  lessor.grant(id(1), 10, at(0));
  assert.deepEqual(lessor.expired(at(9_999), 10), []);
  assert.deepEqual(lessor.expired(at(10_000), 10), [id(1)]);
});

test("an expired lease is proposed again only after the retry interval", () => {
  const lessor = primary();
  lessor.grant(id(1), 10, at(0));
  assert.deepEqual(lessor.expired(at(10_000), 10), [id(1)]);
  assert.deepEqual(lessor.expired(at(12_999), 10), []);
  assert.deepEqual(lessor.expired(at(13_000), 10), [id(1)]);
});

test("a renewed lease lives its whole time again", () => {
  const lessor = primary();
  lessor.grant(id(1), 10, at(0));
  lessor.renew(lessor.lookup(id(1))!, at(9_000));
  assert.deepEqual(lessor.expired(at(18_999), 10), []);
  assert.deepEqual(lessor.expired(at(19_000), 10), [id(1)]);
});

test("revoking gives the keys in order and forgets the lease", () => {
  const lessor = primary();
  lessor.grant(id(7), 10, at(0));
  for (const key of ["b", "a", "c"]) lessor.attach(id(7), key as Key);
  lessor.detach(id(7), "c" as Key);
  assert.deepEqual(lessor.revoke(id(7)), ["a", "b"]);
  assert.equal(lessor.revoke(id(7)), errors.leaseNotFound);
  assert.deepEqual(lessor.expired(at(60_000), 10), []);
});

test("a member that is not the primary calls nothing expired", () => {
  const lessor = new Lessor(2);
  lessor.grant(id(1), 5, at(0));
  assert.deepEqual(lessor.expired(at(100_000), 10), []);
  lessor.promote(at(100_000), 1_000);
  assert.deepEqual(lessor.expired(at(105_999), 10), []);
  assert.deepEqual(lessor.expired(at(106_000), 10), [id(1)]);
  lessor.demote();
  assert.deepEqual(lessor.expired(at(200_000), 10), []);
});

test("a checkpointed lease goes on with what was left", () => {
  const lessor = new Lessor(2);
  lessor.restore(id(1), 100, 30, at(0));
  lessor.promote(at(0), 0);
  assert.equal(lessor.remainingSeconds(lessor.lookup(id(1))!, at(0)), 30);
});

test("after a promotion no second expires more than three quarters of the revoke rate", () => {
  const lessor = new Lessor(2);
  for (let n = 1; n <= 5_000; n++) lessor.grant(id(n), 10, at(0));
  lessor.promote(at(0), 0);
  const perSecond = new Map<number, number>();
  for (const lease of lessor.leases()) {
    const second = Math.floor(lease.expiry / 1000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
  }
  assert.ok(Math.max(...perSecond.values()) <= 750);
  assert.ok(Math.min(...lessor.leases().map((lease) => lease.expiry)) >= 10_000);
});

test("the rest of a long lease is written down once an interval, and only while it is less than all", () => {
  const lessor = new Lessor(2, true);
  lessor.promote(at(0), 0);
  lessor.grant(id(1), 300, at(0));
  lessor.grant(id(2), 301, at(0));
  lessor.grant(id(3), 1000, at(0));
  assert.ok(!lessor.hasDue(at(299_999)));
  lessor.renew(lessor.lookup(id(3))!, at(300_000));
  assert.deepEqual(lessor.dueCheckpoints(at(300_000), 10), [{ id: id(2), remainingTtl: 1 }]);
  assert.deepEqual(lessor.dueCheckpoints(at(300_000), 10), [], "each once");
  lessor.checkpoint(id(3), 700, at(300_001));
  assert.deepEqual(
    lessor.dueCheckpoints(at(600_001), 10),
    [{ id: id(3), remainingTtl: 700 }],
    "renewed then, so counted from there",
  );
});

test("a checkpoint does not prolong the lease of the primary that wrote it", () => {
  const lessor = primary();
  lessor.grant(id(1), 100, at(0));
  lessor.checkpoint(id(1), 60, at(40_000));
  lessor.checkpoint(id(1), 60, at(50_000));
  assert.equal(lessor.remainingSeconds(lessor.lookup(id(1))!, at(50_000)), 50);
});

test("without checkpoints none is due", () => {
  const lessor = primary();
  lessor.grant(id(1), 100_000, at(0));
  assert.deepEqual(lessor.dueCheckpoints(at(99_000_000), 10), []);
});
