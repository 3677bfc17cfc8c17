// Goal: a question to another member takes the time it was given, once, and comes from the address that it shall. Method: a member's port
// that answers the first question and keeps the connection, and never answers the next.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { silentLogger } from "../ports/logger.ts";
import { HttpPeerClient } from "./client.ts";
import { Dialer } from "./dialer.ts";
import { TEST_TIMINGS } from "./testing/test-member.ts";

test("a question that is not answered in time is not asked again on another connection", async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    if (asked++ === 0) response.end(JSON.stringify({ etcdserver: "3.7.1", etcdcluster: "3.7.0" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const urls = [`http://127.0.0.1:${address.port}`];
  const dialer = new Dialer({ dialTimeoutMillis: 1000, tls: undefined, timings: TEST_TIMINGS });
  const client = new HttpPeerClient(dialer, silentLogger);
  try {
    assert.equal((await client.versions(urls, 10_000)).server, "3.7.1");
    await assert.rejects(client.downgradeEnabled(urls, 50));
    assert.equal(asked, 2);
  } finally {
    dialer.close();
    server.closeAllConnections();
    server.close();
  }
});

test("a member calls from the address that it was told to, which must be this machine's", async () => {
  const options = { dialTimeoutMillis: 1000, tls: undefined, timings: TEST_TIMINGS };
  const dialer = new Dialer({ ...options, localAddress: "192.0.2.77" });
  const call = { method: "GET", url: "http://127.0.0.1:1", path: "/", headers: {}, stream: false } as const;
  const error = await new Promise<Error>((resolve, reject) => {
    dialer.call(call, () => reject(new Error("answered")), resolve).end();
  });
  assert.match(error.message, /EADDRNOTAVAIL.*192\.0\.2\.77/);
  dialer.close();
});
