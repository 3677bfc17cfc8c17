// Goal: whoever starts a server by hand learns what to do next, and a log stream is never mixed with it. Method: configurations as
// the command line makes them, and the text that follows.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Config } from "../config/config.ts";
import { parseConfig } from "../config/parse.ts";
import { isForPerson, welcomeText } from "./welcome.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

function configOf(...flags: string[]): Config {
  const outcome = parseConfig({
    args: ["etcd", ...flags],
    environment: {},
    readFile: () => "",
    defaultHost: () => ({ problem: "none" }),
  });
  assert.equal(outcome.kind, "config");
  return (outcome as { config: Config }).config;
}

test("a default start is told the next commands as they are typed beside the project", () => {
  const text = welcomeText(configOf(), ROOT);
  assert.match(text, /^ {2}bin\/etcdctl put greeting hello$/m);
  assert.match(text, /^ {2}curl http:\/\/localhost:2379\/metrics$/m);
  assert.ok(text.includes(`Its data is in ${join(ROOT, "default.etcd")}`));
});

test("commands name the endpoint and the certificates that a client will need", () => {
  const elsewhere = welcomeText(
    configOf(
      "--listen-client-urls",
      "http://0.0.0.0:4001",
      "--advertise-client-urls",
      "http://10.0.0.1:4001",
    ),
    ROOT,
  );
  assert.match(elsewhere, /etcdctl --endpoints http:\/\/127\.0\.0\.1:4001 get greeting/);
  const secure = ["--listen-client-urls", "https://[::]:4001", "--advertise-client-urls", "https://h:4001"];
  const withFiles = ["--cert-file", "c.pem", "--key-file", "k.pem", "--trusted-ca-file", "ca.pem"];
  const text = welcomeText(configOf(...secure, ...withFiles), ROOT);
  assert.match(
    text,
    /--endpoints https:\/\/\[::1\]:4001 --cacert CA_FILE --cert CERT_FILE --key KEY_FILE get/,
  );
  assert.doesNotMatch(text, /curl/);
  assert.match(welcomeText(configOf(...secure, "--auto-tls"), ROOT), /--insecure-skip-tls-verify get/);
});

test("only a person is greeted", () => {
  const [cairn, etcd] = ["/x/bin/cairn", "/x/bin/etcd"] as const;
  const npmScript = undefined;
  assert.ok(isForPerson(configOf(), { program: cairn, isTerminal: true, npmScript }));
  assert.ok(isForPerson(configOf(), { program: "dist/bin/etcd.js", isTerminal: false, npmScript: "start" }));
  assert.ok(!isForPerson(configOf(), { program: cairn, isTerminal: false, npmScript }));
  assert.ok(!isForPerson(configOf(), { program: etcd, isTerminal: true, npmScript }));
  const logged = configOf("--log-outputs", "stdout");
  assert.ok(!isForPerson(logged, { program: cairn, isTerminal: true, npmScript: "start" }));
});
