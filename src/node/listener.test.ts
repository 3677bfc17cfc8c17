// Goal: every kind of connection reaches the right server with its first byte, and TLS asks for what the flags say. Method: real
// sockets on loopback, node:http behind the HTTP/1 hand-over, certificates made by our own --auto-tls code.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, get } from "node:http";
import { get as httpsGet } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as tlsConnect } from "node:tls";
import type { Logger } from "../ports/logger.ts";
import { silentLogger } from "../ports/logger.ts";
import { Listener, type ListenerOptions } from "./listener.ts";
import { protocolOf } from "./listener-sniff.ts";
import { TlsContext, type TlsOptions } from "./tls-context.ts";
import { revokedSerials } from "./tls-crl.ts";
import * as der from "./tls-der.ts";
import { addressBytes, selfSignedCertificate } from "./tls-self-signed.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const directory = mkdtempSync(join(tmpdir(), "cairn-listener-"));
const http = createHttpServer((request, response) => response.end(`hello ${request.url}`));
const warnings: string[] = [];
const debugged: string[] = [];
const logger: Logger = {
  ...silentLogger,
  warn: (message, fields) => warnings.push(`${message} ${fields?.["remote-addr"]} ${fields?.["error"]}`),
  debug: (message, fields) => debugged.push(`${message} ${fields?.["error"]}`),
};
let http2Seen: (head: Buffer, socket: Socket) => void = () => {};
const listeners: Listener[] = [];

async function open(
  tls: TlsContext | undefined,
  path?: string,
  more: Partial<ListenerOptions> = {},
): Promise<Listener> {
  const listener = await Listener.open({
    address: path === undefined ? { kind: "tcp", host: "127.0.0.1", port: 0 } : { kind: "unix", path },
    tls,
    onHttp2: (socket, head) => {
      http2Seen(head, socket);
      socket.on("error", () => {});
      socket.end("h2!");
      socket.resume();
    },
    onHttp1: (socket) => http.emit("connection", socket),
    logger,
    ...more,
  });
  listeners.push(listener);
  return listener;
}

function certificate(name: string, hosts: readonly string[] = ["127.0.0.1:1", "localhost:1"]) {
  return selfSignedCertificate({
    directory: join(directory, name),
    hosts,
    validityYears: 1,
    clientUsage: true,
    logger: silentLogger,
  });
}

function tlsOptions(
  files: { certFile: string; keyFile: string },
  more: Partial<TlsOptions> = {},
): TlsOptions {
  return {
    ...files,
    trustedCaFile: "",
    clientCertAuth: false,
    crlFile: "",
    allowedCommonNames: [],
    allowedHostnames: [],
    ciphers: undefined,
    minVersion: undefined,
    maxVersion: undefined,
    ...more,
  };
}

/** What the server says after the handshake; a connection cut without a word gives "". */
function ask(port: number, options: object, send = PREFACE): Promise<string> {
  const socket = tlsConnect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () => {
    if (send !== "") socket.write(send);
  });
  return wholeAnswer(socket);
}

/** All that comes until the server ends the connection; "" when it fails. */
function wholeAnswer(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    socket.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    socket.on("error", () => resolve(""));
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(said));
  });
}

let server: { certFile: string; keyFile: string };
let client: { certFile: string; keyFile: string };

before(async () => {
  server = await certificate("server");
  client = await certificate("client", ["client.test:1"]);
});

after(() => {
  for (const listener of listeners) listener.close();
  http.closeAllConnections();
  rmSync(directory, { recursive: true });
});

test("the first four bytes settle what a connection speaks", () => {
  assert.equal(protocolOf(Buffer.from("PRI")), undefined);
  assert.equal(protocolOf(Buffer.from("PRI ")), "http2");
  assert.equal(protocolOf(Buffer.from("PUT")), "http1");
  assert.equal(protocolOf(Buffer.from("G")), "http1");
  assert.equal(protocolOf(Buffer.alloc(0)), undefined);
});

test("where both protocols are served, the request line says whether it is HTTP/1.x", () => {
  const strict = (text: string): string | undefined =>
    protocolOf(Buffer.from(text, "latin1"), { strict: true, tls: false });
  assert.equal(strict("PRI "), "http2");
  assert.equal(strict("G"), undefined);
  assert.equal(strict("GET /health HTTP/1.1\r"), undefined);
  assert.equal(strict("GET /health HTTP/1.1\r\nHost: a"), "http1");
  assert.equal(strict("GET /health HTTP/1.0\n"), "http1");
  assert.equal(strict("GET /health HTTP/2.0\r\n"), "neither");
  assert.equal(strict("GET /health\r\n"), "neither");
  assert.equal(strict("INVALID CONNECTION PREFACE\r\n\r\n"), "neither");
  assert.equal(strict(`GET /${"x".repeat(4096)}`), "neither");
  assert.equal(strict("\x16\x03\x01".padEnd(4095, "\xff")), undefined);
  assert.equal(strict("\x16\x03\x01".padEnd(4096, "\xff")), "neither");
});

test("where TLS comes to the same port, the first byte of its handshake says so", () => {
  const mixed = (text: string): string | undefined =>
    protocolOf(Buffer.from(text, "latin1"), { strict: true, tls: true });
  assert.equal(mixed("\x16"), "tls");
  assert.equal(mixed("\x16\x03\x01\n"), "tls");
  assert.equal(mixed(""), undefined);
  assert.equal(mixed("PRI "), "http2");
  assert.equal(mixed("GET / HTTP/1.1\r\n"), "http1");
  assert.equal(mixed("\x15\n"), "neither");
});

test("a plain connection that speaks neither protocol is closed without an answer, as etcd's multiplexer does", async () => {
  const listener = await open(undefined);
  for (const garbage of ["INVALID CONNECTION PREFACE\r\n\r\n", "x".repeat(5000), "\n"]) {
    const socket = connect(listener.port, "127.0.0.1");
    const ended = wholeAnswer(socket);
    socket.write(garbage);
    assert.equal(await ended, "");
  }
});

test("HTTP/2 is handed on with the bytes already read, however they were cut", async () => {
  const listener = await open(undefined);
  for (const cut of [1, 3, 4, 24]) {
    const seen = new Promise<Buffer>((resolve) => {
      http2Seen = resolve;
    });
    const socket = connect(listener.port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.write(PREFACE.slice(0, cut));
    setImmediate(() => socket.write(PREFACE.slice(cut)));
    assert.ok(PREFACE.startsWith((await seen).toString("latin1").slice(0, 24)));
    socket.destroy();
  }
});

function body(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", path, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

test("HTTP/1.1 is answered by node:http on the same port", async () => {
  const listener = await open(undefined);
  assert.equal(await body(listener.port, "/health"), "hello /health");
});

test("a unix socket serves, and a stale file does not stand in the way", async () => {
  const path = join(directory, "sock");
  writeFileSync(path, "stale");
  await open(undefined, path);
  const text = await new Promise<string>((resolve, reject) => {
    get({ socketPath: path, path: "/u", agent: false }, (response) => {
      response.on("data", (chunk: Buffer) => resolve(chunk.toString()));
    }).on("error", reject);
  });
  assert.equal(text, "hello /u");
});

test("a unix socket's path that the system cannot hold is refused, not cut off", async () => {
  const path = join(directory, "s".repeat(120));
  await assert.rejects(open(undefined, path), { message: `listen unix ${path}: bind: invalid argument` });
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith("ss")),
    [],
  );
});

test("a port in use is refused in Go's words", async () => {
  const first = await open(undefined);
  await assert.rejects(
    Listener.open({
      address: { kind: "tcp", host: "127.0.0.1", port: first.port },
      tls: undefined,
      onHttp2: undefined,
      onHttp1: undefined,
      logger,
    }),
    { message: `listen tcp 127.0.0.1:${first.port}: bind: address already in use` },
  );
});

test("the self-signed certificate has etcd's fields", () => {
  const made = new X509Certificate(readFileSync(server.certFile));
  assert.equal(made.subject, "O=etcd");
  assert.equal(made.issuer, "O=etcd");
  // basicConstraints, critical, cA TRUE. OpenSSL itself asks for keyCertSign too, which etcd does not set.
  assert.ok(made.raw.includes(Buffer.from("0603551d130101ff040530030101ff", "hex")));
  assert.equal(made.subjectAltName, "IP Address:127.0.0.1, DNS:localhost");
  assert.equal(made.publicKey.asymmetricKeyDetails?.namedCurve, "secp521r1");
  assert.ok(made.verify(made.publicKey));
  assert.match(readFileSync(server.keyFile, "latin1"), /^-----BEGIN EC PRIVATE KEY-----/);
});

test("a self-signed certificate that is there is used again", async () => {
  const before = readFileSync(server.certFile, "latin1");
  await certificate("server");
  assert.equal(readFileSync(server.certFile, "latin1"), before);
});

test("addresses become network bytes", () => {
  assert.deepEqual([...addressBytes("10.0.0.255")], [10, 0, 0, 255]);
  assert.deepEqual([...addressBytes("::1")], [...new Array<number>(15).fill(0), 1]);
  assert.deepEqual([...addressBytes("fe80::1:ab")].slice(-4), [0, 1, 0, 0xab]);
  assert.deepEqual([...addressBytes("::ffff:1.2.3.4")].slice(-6), [255, 255, 1, 2, 3, 4]);
});

test("over TLS, ALPN says h2 or http/1.1, and without ALPN the first bytes do", async () => {
  const listener = await open(new TlsContext(tlsOptions(server), logger));
  assert.equal(await ask(listener.port, { ALPNProtocols: ["h2"] }, ""), "h2!");
  assert.equal(await ask(listener.port, {}), "h2!");
  assert.equal(await secureBody(listener.port, "/v"), "hello /v");
});

function secureBody(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    httpsGet({ port, host: "127.0.0.1", path, agent: false, rejectUnauthorized: false }, (response) =>
      response.on("data", (chunk: Buffer) => resolve(chunk.toString())),
    ).on("error", reject);
  });
}

test("a client that leaves within the handshake is let go at once, whether it refuses us or says nothing", async () => {
  const tls = new TlsContext(tlsOptions(server), logger);
  const { port } = await open(tls);
  const mixed = await open(tls, undefined, { alsoPlain: true });
  debugged.length = 0;
  const refusing = tlsConnect({ port, host: "127.0.0.1" });
  await wholeAnswer(refusing);
  const silent = connect(port, "127.0.0.1", () => silent.end());
  await wholeAnswer(silent);
  const late = connect(mixed.port, "127.0.0.1", () => late.end(Buffer.of(0x16, 3, 1)));
  await wholeAnswer(late);
  assert.deepEqual(debugged, Array(3).fill("rejected connection on client endpoint EOF"));
});

test("a handshake that fails is told in Go's words, with the address of who tried", async () => {
  const { port } = await open(new TlsContext(tlsOptions(server), logger));
  warnings.length = 0;
  const plain = connect(port, "127.0.0.1", () => plain.write("GET / HTTP/1.1\r\n\r\n"));
  await once(plain, "connect");
  const from = `127.0.0.1:${plain.localPort}`;
  await wholeAnswer(plain);
  assert.deepEqual(warnings, [
    `rejected connection on client endpoint ${from} tls: first record does not look like a TLS handshake`,
  ]);
});

test("one port serves plain text and TLS, both protocols of each", async () => {
  const listener = await open(new TlsContext(tlsOptions(server), logger), undefined, { alsoPlain: true });
  const { port } = listener;
  assert.equal(listener.address, `127.0.0.1:${port}`);
  assert.equal(await ask(port, { ALPNProtocols: ["h2"] }, ""), "h2!");
  assert.equal(await ask(port, {}), "h2!");
  assert.equal(await secureBody(port, "/v"), "hello /v");
  assert.equal(await body(port, "/w"), "hello /w");
  const socket = connect(port, "127.0.0.1");
  const plain = wholeAnswer(socket);
  socket.write(PREFACE);
  assert.equal(await plain, "h2!");
  const stranger = connect(port, "127.0.0.1");
  const ended = wholeAnswer(stranger);
  stranger.write("neither of them\r\n");
  assert.equal(await ended, "");
});

test("a TLS port that serves HTTP/1.1 alone offers nothing else, so who would rather speak h2 is served", async () => {
  const tls = new TlsContext(tlsOptions(server), logger);
  const { port } = await open(tls, undefined, { onHttp2: undefined });
  const answer = await ask(port, { ALPNProtocols: ["h2", "http/1.1"] }, "GET /x HTTP/1.0\r\n\r\n");
  assert.ok(answer.endsWith("hello /x"), answer);
  const grpc = await open(tls, undefined, { onHttp1: undefined });
  assert.equal(await ask(grpc.port, { ALPNProtocols: ["http/1.1", "h2"] }, ""), "h2!");
});

test("a trusted CA alone makes client certificates required and verified", async () => {
  const listener = await open(new TlsContext(tlsOptions(server, { trustedCaFile: client.certFile }), logger));
  const pair = { cert: readFileSync(client.certFile), key: readFileSync(client.keyFile) };
  const stranger = { cert: readFileSync(server.certFile), key: readFileSync(server.keyFile) };
  assert.equal(await ask(listener.port, { ALPNProtocols: ["h2"] }), "");
  assert.ok(warnings.some((line) => line.endsWith("tls: client didn't provide a certificate")));
  assert.equal(await ask(listener.port, { ALPNProtocols: ["h2"], ...stranger }), "");
  assert.ok(warnings.some((line) => line.includes("tls: failed to verify certificate: ")));
  assert.equal(await ask(listener.port, { ALPNProtocols: ["h2"], ...pair }), "h2!");
});

test("only allowed host names get in, and revoked serials never do", async () => {
  const pair = {
    cert: readFileSync(client.certFile),
    key: readFileSync(client.keyFile),
    ALPNProtocols: ["h2"],
  };
  const base = { trustedCaFile: client.certFile };
  const allowed = await open(
    new TlsContext(tlsOptions(server, { ...base, allowedHostnames: ["client.test"] }), logger),
  );
  const other = await open(
    new TlsContext(tlsOptions(server, { ...base, allowedHostnames: ["other.test"] }), logger),
  );
  assert.equal(await ask(allowed.port, pair), "h2!");
  assert.equal(await ask(other.port, pair), "");
  assert.ok(warnings.some((line) => line.endsWith("client certificate authentication failed")));
  const serial = new X509Certificate(pair.cert).serialNumber;
  const crlFile = join(directory, "crl.der");
  writeFileSync(crlFile, revocationList(["01", serial]));
  const revoking = await open(new TlsContext(tlsOptions(server, { ...base, crlFile }), logger));
  assert.equal(await ask(revoking.port, pair), "");
  // Taken back in: the file is looked at again.
  writeFileSync(crlFile, revocationList(["01"]));
  assert.equal(await ask(revoking.port, pair), "h2!");
});

/** A CRL with these serials; nobody checks its signature, etcd neither. */
function revocationList(serials: readonly string[]): Uint8Array {
  const algorithm = der.sequence(der.oid("1.2.840.10045.4.3.4"));
  const now = new Date(1.7e12);
  const entries = serials.map((serial) =>
    der.sequence(der.integer(Buffer.from(serial, "hex")), der.time(now)),
  );
  const list = der.sequence(
    der.integer(Uint8Array.of(1)),
    algorithm,
    der.sequence(),
    der.time(now),
    der.time(now),
    der.sequence(...entries),
  );
  return der.sequence(list, algorithm, der.bitString(0, Uint8Array.of(0)));
}

test("the serials of a CRL are read from DER and PEM, and damage is refused", () => {
  const bytes = revocationList(["00ff", "7f"]);
  assert.deepEqual([...revokedSerials(Buffer.from(bytes))].sort(), ["7f", "ff"]);
  const pem = `-----BEGIN X509 CRL-----\n${Buffer.from(bytes).toString("base64")}\n-----END X509 CRL-----\n`;
  assert.equal(revokedSerials(Buffer.from(pem)).size, 2);
  for (let cut = 0; cut < bytes.length; cut++) {
    assert.throws(() => revokedSerials(Buffer.from(bytes.subarray(0, cut))), /malformed crl/);
  }
});

test("cipher suites and versions are kept to, and TLS 1.3 stays usable", async () => {
  const only = { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" };
  const listener = await open(new TlsContext(tlsOptions(server, only), logger));
  const old = { ALPNProtocols: ["h2"], maxVersion: "TLSv1.2" };
  assert.equal(await ask(listener.port, { ...old, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }), "h2!");
  assert.equal(await ask(listener.port, { ...old, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }), "");
  assert.equal(await ask(listener.port, { ALPNProtocols: ["h2"], minVersion: "TLSv1.3" }), "h2!");
  const modern = await open(new TlsContext(tlsOptions(server, { minVersion: "TLSv1.3" }), logger));
  assert.equal(await ask(modern.port, old), "");
});

test("a changed certificate is served at the next handshake, and a broken one is not", async () => {
  const own = await certificate("changing");
  const context = new TlsContext(tlsOptions(own), logger);
  const listener = await open(context);
  const shown = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect(
        { port: listener.port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] },
        () => {
          resolve(socket.getPeerX509Certificate()!.fingerprint256);
          socket.destroy();
        },
      );
      socket.on("error", reject);
    });
  const first = await shown();
  const next = await certificate("next");
  writeFileSync(own.keyFile, readFileSync(next.keyFile));
  writeFileSync(own.certFile, readFileSync(next.certFile));
  const second = await shown();
  assert.notEqual(second, first);
  writeFileSync(own.certFile, "broken");
  utimesSync(own.certFile, 1, 1);
  assert.equal(await shown(), second);
  assert.ok(warnings.some((line) => line.startsWith("failed to reload TLS files")));
});

test("files that cannot be used are refused at the start", () => {
  assert.throws(() => new TlsContext(tlsOptions({ certFile: "", keyFile: "x" }), logger), {
    message: "KeyFile and CertFile must both be present[key: x, cert: ]",
  });
  assert.throws(
    () => new TlsContext(tlsOptions({ certFile: server.certFile, keyFile: client.keyFile }), logger),
  );
});
