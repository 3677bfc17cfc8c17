// Goal: endpoints mean what etcd's client takes them for. Method: its forms, one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { authorityOf, dialAddress, parseEndpoint } from "./endpoint.ts";

/** Endpoint, address dialed, :authority, the name a certificate is checked against, TLS. */
const FORMS: readonly (readonly [string, string, string, string, string])[] = [
  ["127.0.0.1:2379", "tcp 127.0.0.1:2379", "127.0.0.1:2379", "127.0.0.1", "optional"],
  ["http://localhost:2379", "tcp localhost:2379", "localhost:2379", "localhost", "dropped"],
  ["https://[::1]:2379", "tcp [::1]:2379", "[::1]:2379", "::1", "required"],
  ["unix:///run/etcd.sock", "unix /run/etcd.sock", "etcd.sock", "etcd.sock", "optional"],
  ["unix:localhost:20000", "unix localhost:20000", "localhost:20000", "localhost", "optional"],
  ["unixs:///run/me:1", "unix /run/me:1", "me:1", "me", "required"],
];

for (const [text, dialed, authority, serverName, tls] of FORMS) {
  test(`${text} is understood`, () => {
    const endpoint = parseEndpoint(text);
    assert.equal(dialAddress(endpoint), `dial ${dialed}`);
    assert.equal(authorityOf(endpoint), authority);
    assert.equal(endpoint.serverName, serverName);
    assert.equal(endpoint.tls, tls);
  });
}
