// Goal: one call gives a whole server, on a real disk and real sockets, and what it acknowledged is there in the next life. Method:
// the client of this package against it.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../client/client.ts";
import { embed, type Server, StartError } from "./embed.ts";

const URLS = [
  ...["--listen-client-urls", "http://127.0.0.1:0", "--advertise-client-urls", "http://127.0.0.1:0"],
  ...["--listen-peer-urls", "http://127.0.0.1:0"],
];

function start(directory: string, ...more: string[]): Promise<Server> {
  return embed(["--data-dir", directory, ...URLS, "--log-outputs", "/dev/null", ...more]);
}

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "cairn-embed-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("an embedded server serves, closes, and goes on where it was", () =>
  withDirectory(async (directory) => {
    for (const life of [1, 2]) {
      const server = await start(directory);
      const client = new Client({ endpoints: [`127.0.0.1:${server.clientPorts[0]}`] });
      const before = await client.kv.get("greeting");
      assert.equal(before.count, life - 1);
      const put = await client.kv.put("greeting", `hello ${life}`);
      assert.equal(put.header?.revision, life + 1);
      client.close();
      await server.close();
    }
  }));

test("a directory that is in use is refused, and the server in it goes on", () =>
  withDirectory(async (directory) => {
    const server = await start(directory);
    await assert.rejects(start(directory), (error: unknown) => {
      assert.ok(error instanceof StartError);
      assert.equal(error.fields["kind"], "locked");
      return true;
    });
    const client = new Client({ endpoints: [`127.0.0.1:${server.clientPorts[0]}`] });
    await client.kv.put("still", "here");
    client.close();
    await server.close();
  }));

test("one address for http and https is one port, which serves both", () =>
  withDirectory(async (directory) => {
    const urls = "http://127.0.0.1:0,https://127.0.0.1:0";
    const server = await embed([
      ...["--data-dir", directory, "--log-outputs", "/dev/null", "--listen-peer-urls", "http://127.0.0.1:0"],
      ...["--listen-client-urls", urls, "--advertise-client-urls", urls, "--auto-tls"],
    ]);
    const [port, ...others] = server.clientPorts;
    assert.deepEqual(others, []);
    const ca = readFileSync(join(directory, "fixtures", "client", "cert.pem"));
    const plain = new Client({ endpoints: [`http://127.0.0.1:${port}`] });
    const secure = new Client({ endpoints: [`https://127.0.0.1:${port}`], tls: { ca } });
    await plain.kv.put("over", "both");
    assert.equal((await secure.kv.get("over")).count, 1);
    plain.close();
    secure.close();
    await server.close();
  }));

test("whoever wants a defragmentation at the start is told that there is nothing to do", () =>
  withDirectory(async (directory) => {
    const log = join(directory, "log");
    const server = await embed([
      ...["--data-dir", join(directory, "data"), "--log-outputs", log],
      ...["--listen-peer-urls", "http://127.0.0.1:0", "--bootstrap-defrag-threshold-megabytes", "100"],
      ...["--listen-client-urls", "http://127.0.0.1:0", "--advertise-client-urls", "http://127.0.0.1:0"],
    ]);
    await server.close();
    assert.match(
      readFileSync(log, "utf8"),
      /"msg":"Skipping defragmentation",.*"bootstrap-defrag-threshold-bytes":104857600/,
    );
  }));

test("a port that is taken is told before the data directory is made", () =>
  withDirectory(async (directory) => {
    const first = await start(join(directory, "first"));
    const url = `http://127.0.0.1:${first.clientPorts[0]}`;
    const second = join(directory, "second");
    const flags = ["--data-dir", second, "--log-outputs", "/dev/null", "--listen-peer-urls", URLS[5]!];
    await assert.rejects(
      embed([...flags, "--listen-client-urls", url, "--advertise-client-urls", url]),
      (error: unknown) => {
        assert.ok(error instanceof StartError);
        assert.match(String(error.fields["error"]), /bind: address already in use/);
        return true;
      },
    );
    assert.equal(existsSync(second), false);
    await first.close();
  }));

test("what does not belong into the data directory is named in the log, and what does is not", () =>
  withDirectory(async (directory) => {
    const log = join(directory, "log");
    const data = join(directory, "data");
    mkdirSync(data);
    mkdirSync(join(data, "member"));
    writeFileSync(join(data, "backup.db"), "");
    const server = await embed(["--data-dir", data, "--log-outputs", log, ...URLS]);
    await server.close();
    const named = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes('"msg":"found invalid file under data directory"'))
      .map((line) => JSON.parse(line)["filename"]);
    assert.deepEqual(named, ["backup.db"]);
  }));

test("wrong flags are a StartError, not the end of the process", async () => {
  await assert.rejects(embed(["--no-such-flag"]), StartError);
  await assert.rejects(embed(["--heartbeat-interval", "1000", "--election-timeout", "1000"]), StartError);
});
