// Goal: on an empty data directory the initial cluster is judged in etcd's words (taken from the real 3.7.1).
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../config/parse.ts";
import { parseInitialCluster } from "../config/urls.ts";
import { silentLogger } from "../ports/logger.ts";
import { newClusterProblem } from "./initial-members.ts";
import type { Names } from "./same-urls.ts";

const NAMES: Names = {
  lookup: (hostname) =>
    /^[0-9.]+$/.test(hostname)
      ? Promise.resolve(hostname)
      : hostname === "peer.example"
        ? Promise.resolve("127.0.0.1")
        : Promise.reject(new Error(`lookup ${hostname}: no such host`)),
  wait: () => Promise.resolve(),
  logger: silentLogger,
};

async function verify(args: string): Promise<string> {
  const outcome = parseConfig({
    args: ["etcd", "--name", "x", ...args.split(" ")],
    environment: {},
    readFile: () => "",
    defaultHost: () => ({ problem: "none" }),
  });
  assert(outcome.kind === "config", JSON.stringify(outcome));
  const members = parseInitialCluster(outcome.config.initialCluster);
  if (!members.ok) return members.error;
  const problem = await newClusterProblem(outcome.config, members.value, NAMES);
  return problem ?? `ok ${[...members.value.keys()].join(",")}`;
}

const PEER = "http://127.0.0.1:24394";

test("a cluster of this one member is taken", async () => {
  assert.equal(await verify("--snapshot-count=1"), "ok x");
  assert.equal(await verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster x=${PEER}`), "ok x");
});

test("an initial cluster that does not fit is refused in etcd's words", async () => {
  assert.equal(
    await verify("--initial-cluster y=http://localhost:2380"),
    `couldn't find local name "x" in the initial cluster configuration`,
  );
  assert.equal(
    await verify(`--initial-cluster x=${PEER}`),
    `--initial-cluster has x=${PEER} but missing from --initial-advertise-peer-urls=http://localhost:2380 (resolved urls: "http://localhost:2380" != "${PEER}")`,
  );
  assert.equal(
    await verify(`--initial-advertise-peer-urls ${PEER},http://127.0.0.1:24395 --initial-cluster x=${PEER}`),
    `--initial-advertise-peer-urls has http://127.0.0.1:24395 but missing from --initial-cluster=x=${PEER},x=http://127.0.0.1:24395`,
  );
  assert.equal(
    await verify(
      `--initial-cluster x=${PEER},x=http://127.0.0.1:24395 --initial-advertise-peer-urls ${PEER}`,
    ),
    `--initial-cluster has x=http://127.0.0.1:24395 but missing from --initial-advertise-peer-urls=${PEER} (len(["${PEER}"]) != len(["${PEER}" "http://127.0.0.1:24395"]))`,
  );
  assert.equal(
    await verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster x=${PEER},y=${PEER}`),
    `initial cluster x=${PEER},y=${PEER} has duplicate url`,
  );
  assert.equal(
    await verify("--initial-cluster x=foo"),
    "URL scheme must be http, https, unix, or unixs: foo",
  );
});

test("several members are taken, with names that mean the advertised addresses", async () => {
  const others = "y=http://127.0.0.1:1,z=http://127.0.0.1:2";
  assert.equal(
    await verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster x=${PEER},${others}`),
    "ok x,y,z",
  );
  const named = "x=http://peer.example:24394";
  assert.equal(
    await verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster ${named},${others}`),
    "ok x,y,z",
  );
  assert.equal(
    await verify(`--initial-advertise-peer-urls ${PEER} --initial-cluster x=http://nowhere.example:24394`),
    `--initial-cluster has x=http://nowhere.example:24394 but missing from --initial-advertise-peer-urls=${PEER} (failed to resolve "http://nowhere.example:24394" (lookup nowhere.example: no such host))`,
  );
});
