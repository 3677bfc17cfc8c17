// Goal: on an empty data directory the initial cluster is judged in etcd's words (taken from the real 3.7.1).
import assert from "node:assert/strict";
import { test } from "node:test";
import { verifyBootstrap } from "./bootstrap.ts";
import { parseConfig } from "./parse.ts";

function verify(args: string): string {
  const outcome = parseConfig({
    args: ["etcd", "--name", "x", ...args.split(" ")],
    environment: {},
    readFile: () => "",
    defaultHost: () => ({ problem: "none" }),
  });
  assert(outcome.kind === "config", JSON.stringify(outcome));
  const result = verifyBootstrap(outcome.config);
  return result.ok ? `ok ${[...result.members.keys()].join(",")}` : result.error;
}

const PEER = "http://127.0.0.1:24394";

test("a cluster of this one member is taken", () => {
  assert.equal(verify("--snapshot-count=1"), "ok x");
  assert.equal(verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster x=${PEER}`), "ok x");
});

test("an initial cluster that does not fit is refused in etcd's words", () => {
  assert.equal(
    verify("--initial-cluster y=http://localhost:2380"),
    `couldn't find local name "x" in the initial cluster configuration`,
  );
  assert.equal(
    verify(`--initial-cluster x=${PEER}`),
    `--initial-cluster has x=${PEER} but missing from --initial-advertise-peer-urls=http://localhost:2380 (resolved urls: "http://localhost:2380" != "${PEER}")`,
  );
  assert.equal(
    verify(`--initial-advertise-peer-urls ${PEER},http://127.0.0.1:24395 --initial-cluster x=${PEER}`),
    `--initial-advertise-peer-urls has http://127.0.0.1:24395 but missing from --initial-cluster=x=${PEER},x=http://127.0.0.1:24395`,
  );
  assert.equal(
    verify(`--initial-cluster x=${PEER},x=http://127.0.0.1:24395 --initial-advertise-peer-urls ${PEER}`),
    `--initial-cluster has x=http://127.0.0.1:24395 but missing from --initial-advertise-peer-urls=${PEER} (len(["${PEER}"]) != len(["${PEER}" "http://127.0.0.1:24395"]))`,
  );
  assert.equal(
    verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster x=${PEER},y=${PEER}`),
    `initial cluster x=${PEER},y=${PEER} has duplicate url`,
  );
  assert.equal(
    verify("--initial-cluster x=foo"),
    "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: foo",
  );
});

test("several members, and joining, are not supported yet and say so", () => {
  const several = verify(
    `--initial-advertise-peer-urls ${PEER} --initial-cluster x=${PEER},y=http://127.0.0.1:1`,
  );
  assert.match(
    several,
    /^--initial-cluster with several members is not supported yet by this version of Cairn: /,
  );
  assert.match(
    verify("--initial-cluster-state existing"),
    /^--initial-cluster-state=existing is not supported yet/,
  );
});
