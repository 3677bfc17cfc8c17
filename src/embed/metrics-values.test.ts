// Goal: after known requests the figures that dashboards read are the true ones. Method: a whole server, this package's client, and the
// text of its metrics. Counts are exact; of durations only the number is looked at.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../client/client.ts";
import { embed, type Server } from "./embed.ts";

const URLS = [
  ...["--listen-client-urls", "http://127.0.0.1:0", "--advertise-client-urls", "http://127.0.0.1:0"],
  ...["--listen-peer-urls", "http://127.0.0.1:0"],
];

async function withServer(
  more: readonly string[],
  run: (client: Client, server: Server) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "cairn-metrics-"));
  const server = await embed(["--data-dir", directory, ...URLS, "--log-outputs", "/dev/null", ...more]);
  const client = new Client({ endpoints: [`127.0.0.1:${server.clientPorts[0]}`] });
  try {
    await run(client, server);
  } finally {
    client.close();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Over HTTP, because a scrape is more than the registry's text. */
function scrape(server: Server, path = "/metrics"): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port: server.clientPorts[0], path, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

/** The value of a series; undefined when it is not shown. */
function reading(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

function agree(text: string, wanted: Readonly<Record<string, number | undefined>>): void {
  const got = Object.fromEntries(Object.keys(wanted).map((series) => [series, reading(text, series)]));
  assert.deepEqual(got, wanted);
}

const APPLIED = "etcd_server_apply_duration_seconds_count";

test("puts, ranges, deletes, compactions and leases are counted and timed as often as they happen", () =>
  withServer([], async (client, server) => {
    for (let i = 0; i < 40; i++) await client.kv.put(`k${i}`, "value");
    for (let i = 0; i < 25; i++) await client.kv.get(`k${i}`);
    await client.kv.put("k1", "other", { prevKv: true });
    await client.kv.delete("k2");
    await assert.rejects(client.kv.put("x", "y", { lease: 12345n }));
    await client.kv.compact(30, { physical: true });
    const { id } = await client.lease.grant(60);
    await client.lease.keepAliveOnce(id);
    await client.lease.revoke(id);
    await client.maintenance.hashKv(0);
    const text = await scrape(server);
    agree(text, {
      etcd_mvcc_put_total: 41,
      // One of them is the compaction's: etcd reads a key for its header.
      etcd_mvcc_range_total: 27,
      etcd_mvcc_delete_total: 1,
      etcd_mvcc_txn_total: 1,
      etcd_debugging_mvcc_keys_total: 39,
      etcd_debugging_mvcc_current_revision: 43,
      etcd_debugging_mvcc_compact_revision: 30,
      etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count: 1,
      etcd_debugging_lease_granted_total: 1,
      etcd_debugging_lease_renewed_total: 1,
      etcd_debugging_lease_revoked_total: 1,
      etcd_debugging_lease_ttl_total_sum: 60,
      etcd_mvcc_hash_rev_duration_seconds_count: 1,
      etcd_server_range_duration_seconds_count: undefined,
      'etcd_server_range_duration_seconds_count{success="true"}': 25,
      'etcd_server_request_duration_seconds_count{success="true",type="Put"}': 42,
      [`${APPLIED}{op="Put",success="true",version="v3"}`]: 41,
      [`${APPLIED}{op="Put",success="false",version="v3"}`]: 1,
      [`${APPLIED}{op="DeleteRange",success="true",version="v3"}`]: 1,
      [`${APPLIED}{op="Compaction",success="true",version="v3"}`]: 1,
      'etcd_cluster_version{cluster_version="3.7"}': 1,
      etcd_server_has_leader: 1,
      etcd_server_is_leader: 1,
      etcd_server_leader_changes_seen_total: 1,
      etcd_server_proposals_pending: 0,
      etcd_server_proposals_failed_total: 0,
    });
    assert.ok((reading(text, "etcd_disk_wal_fsync_duration_seconds_count") ?? 0) >= 44);
    assert.ok((reading(text, "etcd_disk_wal_write_bytes_total") ?? 0) > 40 * 50);
    assert.ok((reading(text, "etcd_disk_backend_commit_duration_seconds_count") ?? 0) >= 44);
    assert.equal(
      reading(text, "etcd_server_proposals_applied_total"),
      reading(text, "etcd_server_proposals_committed_total"),
    );
  }));

test("an alarm shows once it was raised, and /health says so; with extensive metrics calls are timed", () =>
  withServer(["--quota-backend-bytes", "100000", "--metrics", "extensive"], async (client, server) => {
    assert.doesNotMatch(await scrape(server), /etcd_debugging_server_alarms\{/);
    await client.kv.put("small", "x");
    await assert.rejects(client.kv.put("big", "x".repeat(100_000)), /database space exceeded/);
    while (!(await client.maintenance.alarmList()).alarms.length);
    const text = await scrape(server);
    assert.match(text, /^etcd_debugging_server_alarms\{alarm_type="NOSPACE",server_id="[0-9a-f]+"\} 1$/m);
    assert.equal(
      reading(
        text,
        'grpc_server_handling_seconds_count{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}',
      ),
      2,
    );
    const port = server.clientPorts[0]!;
    const health = await fetch(`http://127.0.0.1:${port}/health`);
    assert.equal(health.status, 503);
    assert.match(await health.text(), /ALARM NOSPACE/);
  }));
