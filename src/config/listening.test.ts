// Goal: what the flags say about listening arrives unchanged at the listeners.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "../ports/logger.ts";
import type { Config } from "./config.ts";
import { clientTlsContext, listenAddress, listenTargets, peerSettings, tlsOptions } from "./listening.ts";
import { parseConfig } from "./parse.ts";
import { quotaLine, startupFields } from "./startup-line.ts";
import { parseUrl } from "./urls.ts";

function configOf(args: string): Config {
  const outcome = parseConfig({
    args: ["etcd", ...args.split(" ").filter((word) => word !== "")],
    environment: {},
    readFile: () => "",
    defaultHost: () => ({ problem: "none" }),
  });
  assert(outcome.kind === "config", JSON.stringify(outcome));
  return outcome.config;
}

test("an address is a host and port without brackets, or the path of a socket", () => {
  const address = (text: string): unknown => {
    const url = parseUrl(text);
    assert.ok(url.ok);
    return listenAddress(url.value);
  };
  assert.deepEqual(address("https://[::1]:2379"), { kind: "tcp", host: "::1", port: 2379 });
  assert.deepEqual(address("unix:///run/etcd.sock"), { kind: "unix", path: "/run/etcd.sock" });
  assert.deepEqual(address("unix://localhost:0"), { kind: "unix", path: "localhost:0" });
});

test("URLs of one address share its socket, whatever comes to it", () => {
  const targets = listenTargets(
    ["http://127.0.0.1:1", "https://127.0.0.1:2", "https://127.0.0.1:1", "unix://s:1", "unixs://s:1"].map(
      (text) => {
        const url = parseUrl(text);
        assert.ok(url.ok);
        return url.value;
      },
    ),
  );
  assert.deepEqual(targets, [
    { address: { kind: "tcp", host: "127.0.0.1", port: 1 }, secure: true, plain: true },
    { address: { kind: "tcp", host: "127.0.0.1", port: 2 }, secure: true, plain: false },
    { address: { kind: "unix", path: "s:1" }, secure: true, plain: true },
  ]);
});

test("versions and cipher suites arrive in Node's names", () => {
  const config = configOf(
    "--tls-max-version=TLS1.3 --cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
  );
  const options = tlsOptions(config, config.clientTls);
  assert.equal(options.minVersion, "TLSv1.2");
  assert.equal(options.maxVersion, "TLSv1.3");
  assert.equal(options.ciphers, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305");
});

test("plain URLs need no certificate, --auto-tls makes one for the others", async () => {
  assert.equal(await clientTlsContext(configOf(""), silentLogger), undefined);
  const directory = mkdtempSync(join(tmpdir(), "cairn-tls-"));
  const plain = configOf(`--data-dir=${directory}`);
  const url = parseUrl("https://127.0.0.1:2379");
  assert.ok(url.ok);
  const config: Config = {
    ...plain,
    listenClientUrls: [url.value],
    clientTls: { ...plain.clientTls, autoTls: true },
  };
  assert.notEqual(await clientTlsContext(config, silentLogger), undefined);
  assert.ok(existsSync(join(directory, "fixtures/client/cert.pem")));
});

test("a certificate that is not there stops the start", async () => {
  const config = configOf(
    "--listen-client-urls=https://127.0.0.1:1 --advertise-client-urls=https://a:1 --cert-file=/nonexistent --key-file=/nonexistent",
  );
  await assert.rejects(clientTlsContext(config, silentLogger), /nonexistent/);
});

test("with SetMemberLocalAddr members call from the first advertised address that others can know", async () => {
  const addressOf = async (gate: string, ...hosts: readonly string[]): Promise<string | undefined> => {
    const urls = hosts.map((host, i) => `http://${host}:${i + 1}`);
    const cluster = urls.map((url) => `default=${url}`).join(",");
    const config = configOf(
      `--initial-advertise-peer-urls=${urls.join(",")} --initial-cluster=${cluster} --feature-gates=SetMemberLocalAddr=${gate}`,
    );
    const { localAddress } = await peerSettings(config, silentLogger);
    assert.equal(startupFields(config, false)["local-address"], localAddress ?? "");
    return localAddress;
  };
  assert.equal(await addressOf("true", "127.0.0.1", "10.1.2.3", "10.1.2.4"), "10.1.2.3");
  assert.equal(await addressOf("true", "[::1]", "[fd00::2]"), "fd00::2");
  assert.equal(await addressOf("true", "etcd.example", "0.0.0.0", "127.8.0.1"), undefined);
  assert.equal(await addressOf("false", "10.1.2.3"), undefined);
});

test("the log says what the quota is, in etcd's words", () => {
  const said = (args: string): string => {
    const { message, fields } = quotaLine(configOf(args));
    return `${message} ${fields["quota-size-bytes"]} ${fields["quota-size"] ?? "-"}`;
  };
  assert.equal(said(""), "enabled backend quota with default value 2147483648 2.1 GB");
  assert.equal(said("--quota-backend-bytes=53248"), "enabled backend quota 53248 53 kB");
  assert.equal(said("--quota-backend-bytes=-1"), "disabled backend quota -1 -");
});

test("the peers' side arrives as it was given, and --peer-auto-tls makes a certificate that nobody verifies", async () => {
  const urls = "--listen-peer-urls=https://127.0.0.1:2380 --initial-advertise-peer-urls=https://a:2380";
  const cluster = "--initial-cluster=default=https://a:2380";
  const files = "--peer-cert-file=c --peer-key-file=k --peer-client-cert-file=cc --peer-client-key-file=ck";
  const given = await peerSettings(
    configOf(
      `${urls} ${cluster} ${files} --peer-trusted-ca-file=ca --election-timeout=2000 --raft-read-timeout=7s`,
    ),
    silentLogger,
  );
  assert.deepEqual(given.listen, [{ address: { kind: "tcp", host: "127.0.0.1", port: 2380 }, secure: true }]);
  assert.deepEqual(given.peerUrls, ["https://a:2380"]);
  assert.equal(given.dialTimeoutMillis, 3000);
  assert.deepEqual(given.timings, { readTimeoutMillis: 7000, writeTimeoutMillis: 5000 });
  const { certFile, clientCertFile, trustedCaFile, selfSigned } = given.tls;
  assert.deepEqual([certFile, clientCertFile, trustedCaFile, selfSigned], ["c", "cc", "ca", false]);
  const directory = mkdtempSync(join(tmpdir(), "cairn-tls-"));
  const made = await peerSettings(
    configOf(`${urls} ${cluster} --data-dir=${directory} --peer-auto-tls`),
    silentLogger,
  );
  assert.equal(made.tls.selfSigned, true);
  assert.equal(made.tls.certFile, join(directory, "fixtures/peer/cert.pem"));
});
