// Goal: members trust each other by certificates exactly as etcd's do: authority, revocation, names against addresses, allowed names; and
// files that change count without a restart. Method: certificates made on the spot, each its own authority.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { selfSignedCertificate } from "../node/tls-self-signed.ts";
import { silentLogger } from "../ports/logger.ts";
import type { PeerTlsOptions } from "./network.ts";
import { type Resolver, sanProblem } from "./san-check.ts";
import { NAMED_CERTIFICATE, NAMED_KEY } from "./testing/named-certificate.ts";
import { NO_TLS } from "./testing/no-tls.ts";
import { append, connectedPair, TestMember, type TestMemberOptions } from "./testing/test-member.ts";

const directory = mkdtempSync(join(tmpdir(), "cairn-peer-tls-"));
let made = 0;

/** A certificate for these hosts, which is its own authority. */
function certificateFor(...hosts: readonly string[]): Promise<{ certFile: string; keyFile: string }> {
  return selfSignedCertificate({
    directory: join(directory, `${made++}`),
    hosts: hosts.map((host) => `${host}:2380`),
    validityYears: 1,
    clientUsage: true,
    logger: silentLogger,
  });
}

const own = await certificateFor("127.0.0.1");
const mutual: PeerTlsOptions = { ...NO_TLS, ...own, trustedCaFile: own.certFile, clientCertAuth: true };

async function refuses(
  client: PeerTlsOptions,
  server: PeerTlsOptions,
  error: RegExp,
  more: TestMemberOptions = {},
): Promise<void> {
  const a = await new TestMember(0xan, { ...more, tls: client }).start();
  const b = await new TestMember(0xbn, { ...more, tls: server }).start();
  a.knows(b);
  await b.until(() => b.lines("rejected connection on peer endpoint").some((line) => error.test(line)));
  assert.equal(b.messages.length, 0);
  await Promise.all([a.close(), b.close()]);
}

async function connects(
  client: PeerTlsOptions,
  server: PeerTlsOptions,
  more: TestMemberOptions = {},
): Promise<void> {
  const a = await new TestMember(0xan, { ...more, tls: client }).start();
  const b = await new TestMember(0xbn, { ...more, tls: server }).start();
  a.knows(b);
  b.network.transport.addPeer(a.localId, ["https://127.0.0.1:1"]);
  await b.connected(a);
  await Promise.all([a.close(), b.close()]);
}

test("members with certificates of one authority speak over TLS in both directions", async () => {
  const [a, b] = await connectedPair({ tls: mutual });
  a.network.transport.send([append(a, b, 1, "x".repeat(200_000))]);
  b.network.transport.send([append(b, a, 1, "y")]);
  await Promise.all([b.received(1), a.received(1)]);
  assert.deepEqual(await a.network.client.versions([b.url], 2000), { server: "3.7.1", cluster: "3.7.0" });
  await Promise.all([a.close(), b.close()]);
});

test("with --peer-auto-tls nobody's certificate is verified", async () => {
  const other = await certificateFor("127.0.0.1");
  await connects({ ...NO_TLS, ...own, selfSigned: true }, { ...NO_TLS, ...other, selfSigned: true });
});

test("who has no certificate, or one of a foreign authority, is refused", async () => {
  const foreign = await certificateFor("127.0.0.1");
  await refuses({ ...NO_TLS, selfSigned: true, ...foreign }, mutual, /failed to verify certificate/);
});

test("a server of a foreign authority is not spoken to", async () => {
  const foreign = await certificateFor("127.0.0.1");
  const a = await new TestMember(0xan, { tls: mutual }).start();
  const b = await new TestMember(0xbn, { tls: { ...mutual, ...foreign, trustedCaFile: "" } }).start();
  a.knows(b);
  await a.until(() =>
    a.lines("peer deactivated again").some((line) => /self-signed|unable to verify/.test(line)),
  );
  await Promise.all([a.close(), b.close()]);
});

test("a certificate must name the address that it calls from, unless that is waived", async () => {
  const elsewhere = await certificateFor("10.9.9.9");
  const server = { ...mutual, trustedCaFile: elsewhere.certFile };
  const client = { ...mutual, clientCertFile: elsewhere.certFile, clientKeyFile: elsewhere.keyFile };
  await refuses(client, server, /certificate is valid for 10\.9\.9\.9, not 127\.0\.0\.1/);
  await connects(client, { ...server, skipClientSanVerification: true });
});

test("names in a certificate are looked up, both ways", async () => {
  const named = await certificateFor("peer.example");
  const server = { ...mutual, trustedCaFile: named.certFile };
  const client = { ...mutual, clientCertFile: named.certFile, clientKeyFile: named.keyFile };
  const nobody: Resolver = { reverse: async () => [], lookup: async () => ["10.0.0.1"] };
  const forward: Resolver = { ...nobody, lookup: async () => ["127.0.0.1"] };
  await refuses(client, server, /"127\.0\.0\.1\\" does not match any of DNSNames/, { resolver: nobody });
  await connects(client, server, { resolver: forward });
});

test("allowed names hold for who calls", async () => {
  const server = { ...mutual, allowedCommonNames: ["somebody"] };
  await refuses(mutual, server, /client certificate authentication failed/);
  await connects(mutual, { ...mutual, allowedHostnames: ["127.0.0.1"] });
});

test("members that allow each other's names speak in both directions, and call nobody of another name", async () => {
  const [certFile, keyFile] = [join(directory, "named.pem"), join(directory, "named-key.pem")];
  writeFileSync(certFile, NAMED_CERTIFICATE);
  writeFileSync(keyFile, NAMED_KEY);
  const named = { ...mutual, certFile, keyFile, trustedCaFile: certFile };
  const tls = { ...named, allowedCommonNames: ["somebody", "peer.example"] };
  const [a, b] = await connectedPair({ tls });
  await Promise.all([a.close(), b.close()]);
  const caller = await new TestMember(0xan, { tls: { ...named, allowedCommonNames: ["somebody"] } }).start();
  const called = await new TestMember(0xbn, { tls: named }).start();
  caller.knows(called);
  await caller.until(() =>
    caller
      .lines("peer deactivated again")
      .some((line) => line.includes("client certificate authentication failed")),
  );
  await Promise.all([caller.close(), called.close()]);
});

test("a new authority and a new certificate count from the next connection on", async () => {
  const next = await certificateFor("127.0.0.1");
  const [cert, key, trusted] = ["swap.pem", "swap-key.pem", "trusted.pem"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  writeFileSync(trusted, readFileSync(own.certFile));
  writeFileSync(cert, readFileSync(own.certFile));
  writeFileSync(key, readFileSync(own.keyFile));
  const swapped = { ...mutual, certFile: cert, keyFile: key, trustedCaFile: trusted };
  const a = await new TestMember(0xan, { tls: swapped }).start();
  const b = await new TestMember(0xbn, { tls: { ...mutual, ...next } }).start();
  a.knows(b);
  b.knows(a);
  // b's certificate is of an authority that a does not know yet.
  await a.logged("peer deactivated again");
  await a.logged("rejected connection on peer endpoint");
  writeFileSync(trusted, readFileSync(next.certFile));
  await Promise.all([a.connected(b), b.connected(a)]);
  // And now a changes its own.
  writeFileSync(key, readFileSync(next.keyFile));
  writeFileSync(cert, readFileSync(next.certFile));
  const late = await new TestMember(0xen, {
    tls: { ...mutual, ...next, trustedCaFile: next.certFile },
  }).start();
  late.knows(a);
  a.knows(late);
  await Promise.all([a.connected(late), late.connected(a)]);
  await Promise.all([a.close(), b.close(), late.close()]);
});

test("names and addresses of a certificate are judged as etcd judges them", async () => {
  const judge = async (
    host: string,
    address: string,
    resolver: Partial<Resolver>,
  ): Promise<string | undefined> => {
    const { certFile } = await certificateFor(...host.split(","));
    const none: Resolver = { reverse: async () => [], lookup: async () => [] };
    return sanProblem(new X509Certificate(readFileSync(certFile)), address, { ...none, ...resolver });
  };
  assert.equal(await judge("10.0.0.1", "10.0.0.1", {}), undefined);
  assert.equal(await judge("10.0.0.1", "::ffff:10.0.0.1", {}), undefined);
  assert.match((await judge("10.0.0.1", "10.0.0.2", {})) ?? "", /valid for 10\.0\.0\.1, not 10\.0\.0\.2/);
  assert.equal(await judge("*.a.example", "10.0.0.2", { reverse: async () => ["x.a.example."] }), undefined);
  assert.equal(await judge("m.example", "10.0.0.2", { reverse: async () => ["m.example"] }), undefined);
  assert.equal(
    await judge("10.0.0.1,m.example", "10.0.0.2", { lookup: async () => ["10.0.0.2"] }),
    undefined,
  );
  const broken = (): Promise<never> => Promise.reject(Object.assign(new Error("x"), { code: "ENOTFOUND" }));
  assert.equal(
    await judge("m.example", "10.0.0.2", { reverse: broken, lookup: broken }),
    `tls: "10.0.0.2" does not match any of DNSNames ["m.example"] (lookup m.example: no such host)`,
  );
});
