// Goal: versions and downgrades of one member: what clients are told, and what the log lines say, is etcd's. Method: a member that is alone,
// with a logger that keeps its lines, on a clock that the test moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEtcdError } from "../base/errors.ts";
import {
  DowngradeAction,
  decodeDowngradeResponse,
  decodeStatusResponse,
  encodeDowngradeRequest,
} from "../wire/generated/etcdserverpb.ts";
import { Serving } from "./serving.test.ts";

const EMPTY: Uint8Array = new Uint8Array(0);

async function downgrade(serving: Serving, action: number, version = ""): Promise<string> {
  const message = encodeDowngradeRequest({ action, version });
  const answer = await serving.call("Maintenance/Downgrade", message, decodeDowngradeResponse);
  return isEtcdError(answer) ? `${answer.code} ${answer.message}` : answer.version;
}

async function status(serving: Serving): Promise<string> {
  const answer = await serving.call("Maintenance/Status", EMPTY, decodeStatusResponse);
  assert.ok(!isEtcdError(answer));
  const { enabled, targetVersion } = answer.downgradeInfo!;
  return `${answer.storageVersion} ${enabled ? `to ${targetVersion}` : "stays"}`;
}

/** Another program takes the directory over. */
function serveAs({ machine }: Serving, serverVersion: string): void {
  machine.memberOptions = { ...machine.memberOptions, serverVersion };
}

test("a new cluster has its server's minor version at once, and so have its files", async () => {
  const serving = await Serving.start();
  await serving.pass(10);
  assert.equal(serving.machine.member.membership.version, "3.7.0");
  assert.equal(await status(serving), "3.7.0 stays");
});

test("a downgrade is checked, lowers the cluster's version, and is cancelled", async () => {
  const serving = await Serving.start();
  await serving.pass(10);
  const { VALIDATE, ENABLE, CANCEL } = DowngradeAction;
  assert.equal(await downgrade(serving, VALIDATE, "3.6"), "3.7");
  assert.equal(await downgrade(serving, VALIDATE, "3.5"), "3 etcdserver: invalid downgrade target version");
  assert.equal(
    await downgrade(serving, ENABLE, "3.6.x"),
    "3 etcdserver: wrong downgrade target version format",
  );
  assert.equal(await downgrade(serving, CANCEL), "3.7", "nothing to cancel is no error");
  assert.equal(await downgrade(serving, ENABLE, "3.6.14"), "3.7");
  assert.equal(await status(serving), "3.7.0 to 3.6.0");
  assert.equal(
    await downgrade(serving, VALIDATE, "3.6"),
    "9 etcdserver: cluster has a downgrade job in progress",
  );
  await serving.pass(4100);
  assert.equal(serving.machine.member.membership.version, "3.6.0");
  assert.equal(await status(serving), "3.6.0 to 3.6.0");
  await serving.pass(6000);
  assert.equal(await status(serving), "3.6.0 to 3.6.0", "it is not complete while this server is 3.7");
  await serving.machine.stop();
  await serving.boot();
  assert.equal(await status(serving), "3.6.0 to 3.6.0", "it outlives a restart");
  assert.equal(await downgrade(serving, CANCEL), "3.6");
  await serving.pass(4100);
  assert.equal(await status(serving), "3.7.0 stays");
});

test("a server of the target's version ends the downgrade by itself", async () => {
  const serving = await Serving.start();
  await serving.pass(10);
  await downgrade(serving, DowngradeAction.ENABLE, "3.6");
  await serving.pass(4100);
  await serving.machine.stop();
  serveAs(serving, "3.6.14");
  await serving.boot();
  await serving.pass(5100);
  assert.equal(await status(serving), "3.6.0 stays");
});

test("a server older than its cluster does not start", async () => {
  const serving = await Serving.start();
  await serving.pass(10);
  await serving.machine.stop();
  serveAs(serving, "3.6.14");
  await assert.rejects(serving.boot(), {
    message: "invalid downgrade; server version is lower than determined cluster version",
  });
});
