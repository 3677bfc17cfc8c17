// Goal: members that share nothing but a token find each other, in etcd's order, and nobody too many is let in. Method: the registry is
// a whole server of our own.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { discoverCluster } from "../bootstrap/v3-discovery.ts";
import { Client } from "../client/client.ts";
import { silentLogger } from "../ports/logger.ts";
import { embed } from "./embed.ts";

async function withRegistry(run: (client: Client, discover: Discover) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "cairn-discovery-"));
  const server = await embed([
    ...["--data-dir", directory, "--log-outputs", "/dev/null", "--listen-peer-urls", "http://127.0.0.1:0"],
    ...["--listen-client-urls", "http://127.0.0.1:0", "--advertise-client-urls", "http://127.0.0.1:0"],
  ]);
  const client = new Client({ endpoints: [`127.0.0.1:${server.clientPorts[0]}`] });
  const options = {
    client,
    token: "token",
    requestTimeoutMillis: 5000,
    logger: silentLogger,
    wait: () => Promise.reject(new Error("nothing is repeated here")),
  };
  try {
    await run(client, (id) => discoverCluster(options, id, `m${id}=http://127.0.0.1:${id}`));
  } finally {
    client.close();
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

type Discover = (id: string) => Promise<string>;

test("three members find each other, in the order in which they registered; a fourth is refused", () =>
  withRegistry(async (client, discover) => {
    await client.kv.put("/_etcd/registry/token/_config/size", "3");
    const whole = await Promise.all(["11", "12", "13"].map(discover));
    assert.equal(new Set(whole).size, 1);
    assert.deepEqual(whole[0]!.split(",").sort(), [
      "m11=http://127.0.0.1:11",
      "m12=http://127.0.0.1:12",
      "m13=http://127.0.0.1:13",
    ]);
    await assert.rejects(discover("14"), { message: "discovery: cluster is full" });
    assert.equal(await discover("12"), whole[0], "a member that asks again has kept its place");
  }));

test("a registry that speaks TLS is found with the CA's file alone", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cairn-discovery-"));
  const common = ["--log-outputs", "/dev/null", "--listen-peer-urls", "http://127.0.0.1:0"];
  const registry = await embed([
    ...[...common, "--data-dir", join(directory, "registry"), "--auto-tls"],
    ...["--listen-client-urls", "https://127.0.0.1:0", "--advertise-client-urls", "https://127.0.0.1:0"],
  ]);
  const ca = join(directory, "registry", "fixtures", "client", "cert.pem");
  const endpoint = `https://127.0.0.1:${registry.clientPorts[0]}`;
  const client = new Client({ endpoints: [endpoint], tls: { ca: readFileSync(ca) } });
  try {
    await client.kv.put("/_etcd/registry/token/_config/size", "1");
    const found = await embed([
      ...[...common, "--data-dir", join(directory, "found")],
      ...["--initial-advertise-peer-urls", "http://127.0.0.1:1"],
      ...["--listen-client-urls", "http://127.0.0.1:0", "--advertise-client-urls", "http://127.0.0.1:0"],
      ...["--discovery-endpoints", endpoint, "--discovery-token", "token", "--discovery-cacert", ca],
    ]);
    const [only] = found.member.membership.members();
    assert.deepEqual(only?.peerUrls, ["http://127.0.0.1:1"]);
    await found.close();
  } finally {
    client.close();
    await registry.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a registry without a size, or with a bad one, is refused", () =>
  withRegistry(async (client, discover) => {
    await assert.rejects(discover("1"), { message: "discovery: size key not found" });
    await client.kv.put("/_etcd/registry/token/_config/size", "many");
    await assert.rejects(discover("1"), { message: "discovery: size key is bad" });
  }));
