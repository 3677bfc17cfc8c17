// Goal: every path answers as the real etcd 3.7.1 answers: status, body and the headers that clients look at. Method: a real
// server on a loopback port, a member made of constants. Expected answers were taken from the real binary with curl.
import assert from "node:assert/strict";
import { type IncomingHttpHeaders, type RequestOptions, request, type Server } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { errors } from "../base/errors.ts";
import { MetricsRegistry } from "../node/metrics.ts";
import { ETCD_METRICS } from "../node/metrics-catalog.ts";
import { type Fields, silentLogger } from "../ports/logger.ts";
import { createClientHandler, createMetricsHandler, type HttpOptions } from "./handler.ts";
import type { ActiveAlarm, HealthSource } from "./health-source.ts";
import { createHttpServer } from "./server.ts";

class FakeMember implements HealthSource {
  alarmList: ActiveAlarm[] = [];
  leader = true;
  learner = false;
  failing: "none" | "linearizable" | "all" = "none";
  alarms(): readonly ActiveAlarm[] {
    return this.alarmList;
  }
  hasLeader(): boolean {
    return this.leader;
  }
  isLearner(): boolean {
    return this.learner;
  }
  full = false;
  deviceFull(): boolean {
    return this.full;
  }
  probe(serializable: boolean, done: (error: typeof errors.timeout | undefined) => void): void {
    const fails = this.failing === "all" || (this.failing === "linearizable" && !serializable);
    done(fails ? errors.timeout : undefined);
  }
  clusterVersion(): string | undefined {
    return "3.7.0";
  }
  storageVersion(): string | undefined {
    return undefined;
  }
  raftStatus(): string {
    return '{"id":"1"}';
  }
  authEnabled(): boolean {
    return false;
  }
}

const member = new FakeMember();
const metrics = new MetricsRegistry();
const warnings: { message: string; fields: Fields | undefined }[] = [];
const options: HttpOptions = {
  source: member,
  logger: { ...silentLogger, warn: (message, fields) => warnings.push({ message, fields }) },
  metrics,
  processMetrics: undefined,
  corsOrigins: new Set(["*"]),
  hostWhitelist: new Set(["*"]),
  clientCertAuth: false,
  enablePprof: false,
  enableGrpcGateway: true,
  gateway: undefined,
  args: ["etcd", "--name", "x"],
};

const servers: Server[] = [];
let clientPort = 0;
let metricsPort = 0;
let strictPort = 0;

function listen(server: Server): Promise<number> {
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

before(async () => {
  metrics.declare(ETCD_METRICS);
  clientPort = await listen(createHttpServer(createClientHandler(options)));
  metricsPort = await listen(createHttpServer(createMetricsHandler(options)));
  const strict = {
    ...options,
    hostWhitelist: new Set(["good.example"]),
    corsOrigins: new Set(["http://a:1"]),
  };
  strictPort = await listen(createHttpServer(createClientHandler({ ...strict, enablePprof: true })));
});

after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

type Answer = { status: number; headers: IncomingHttpHeaders; body: string; bytes: Buffer };

function ask(path: string, more: RequestOptions = {}, port: number = clientPort): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, agent: false, ...more }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: bytes.toString(),
          bytes,
        });
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}

async function expectAnswer(path: string, status: number, body: string): Promise<Answer> {
  const answer = await ask(path);
  assert.equal(answer.body, body, path);
  assert.equal(answer.status, status, path);
  return answer;
}

test("a healthy member is healthy, live and ready", async () => {
  await expectAnswer("/health", 200, '{"health":"true","reason":""}');
  await expectAnswer("/livez", 200, "ok\n");
  await expectAnswer("/livez?verbose", 200, "[+]serializable_read ok\nok\n");
  const ready = "[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n";
  await expectAnswer("/readyz?verbose", 200, `[+]data_corruption ok\n${ready}`);
  await expectAnswer("/readyz?verbose&exclude=data_corruption", 200, ready);
  const one = await expectAnswer("/readyz/linearizable_read?verbose", 200, "[+]linearizable_read ok\nok\n");
  assert.equal(one.headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(one.headers["x-content-type-options"], "nosniff");
  assert.equal(one.headers["access-control-allow-origin"], "*");
});

test("an alarm makes /health false unless it is excluded, and only CORRUPT makes the member unready", async () => {
  member.alarmList = [{ memberId: "ff", name: "NOSPACE" }];
  const answer = await expectAnswer("/health", 503, '{"health":"false","reason":"ALARM NOSPACE"}\n');
  assert.equal(answer.headers["x-content-type-options"], "nosniff");
  await expectAnswer("/health?exclude=NOSPACE", 200, '{"health":"true","reason":""}');
  await expectAnswer("/readyz", 200, "ok\n");
  member.alarmList = [{ memberId: "ff", name: "CORRUPT" }];
  const rest = "[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n";
  await expectAnswer("/readyz", 503, `[-]data_corruption failed: alarm activated: CORRUPT\n${rest}\n`);
  member.alarmList = [];
});

test("without a leader or a quorum the member is not healthy, but live", async () => {
  member.leader = false;
  await expectAnswer("/health", 503, '{"health":"false","reason":"RAFT NO LEADER"}\n');
  await expectAnswer("/health?serializable=true", 200, '{"health":"true","reason":""}');
  member.leader = true;
  member.failing = "linearizable";
  const reason = "RANGE ERROR:etcdserver: request timed out";
  await expectAnswer("/health", 503, `{"health":"false","reason":"${reason}"}\n`);
  await expectAnswer("/livez", 200, "ok\n");
  await expectAnswer(
    "/readyz/linearizable_read",
    503,
    "[-]linearizable_read failed: etcdserver: request timed out\n\n",
  );
  member.failing = "none";
  member.learner = true;
  await expectAnswer("/readyz/non_learner", 503, "[-]non_learner failed: not supported for learner\n\n");
  member.learner = false;
});

test("an unknown check that is excluded only earns a warning", async () => {
  await expectAnswer("/livez?exclude=foo", 200, "ok\n");
  assert.deepEqual(warnings.at(-1), {
    message: "some health checks cannot be excluded",
    fields: { "missing-health-checks": '"foo"' },
  });
});

test("a member whose device is full is not ready, and lives on", async () => {
  member.full = true;
  const [ready, live] = [await ask("/readyz"), await ask("/livez")];
  member.full = false;
  assert.equal(ready.status, 503);
  assert.match(ready.body, /\[-\]device_room failed: no space left on the device/);
  assert.equal(live.status, 200);
});

test("versions, paths and methods answer as Go's mux does", async () => {
  await expectAnswer("/version", 200, '{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"unknown"}');
  for (const path of ["/", "/foo", "/version/", "/livez/foo", "/debug/pprof/"]) {
    await expectAnswer(path, 404, "404 page not found\n");
  }
  const redirect = await expectAnswer("//health", 307, '<a href="/health">Temporary Redirect</a>.\n\n');
  assert.equal(redirect.headers.location, "/health");
  await expectAnswer("/%68ealth", 200, '{"health":"true","reason":""}');
  const post = await ask("/health", { method: "POST" });
  assert.equal(post.status, 405);
  assert.equal(post.headers.allow, "GET");
  assert.equal(post.body, "Method Not Allowed\n");
  const preflight = await ask("/whatever", { method: "OPTIONS" });
  assert.equal(preflight.status, 200);
  assert.equal(preflight.headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE");
});

test("/debug/vars is JSON with the four names of etcd", async () => {
  const answer = await ask("/debug/vars");
  const vars: unknown = JSON.parse(answer.body);
  assert(typeof vars === "object" && vars !== null);
  assert.deepEqual(Object.keys(vars), ["cmdline", "file_descriptor_limit", "memstats", "raft.status"]);
});

test("the JSON gateway says that it is not there yet", async () => {
  const answer = await ask("/v3/kv/range", { method: "POST" });
  assert.equal(answer.status, 501);
  assert.match(answer.body, /^\{"code":12,"message":"the JSON gateway is not supported yet/);
});

test("metrics come as text, or compressed when asked", async () => {
  const plain = await ask("/metrics", {}, metricsPort);
  assert.equal(
    plain.headers["content-type"],
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
  );
  assert.match(plain.body, /\netcd_server_health_success \d+\n/);
  assert.match(
    plain.body,
    /etcd_server_healthchecks_total\{name="linearizable_read",status="error",type="readyz"\} 1\n/,
  );
  const packed = await ask("/metrics", { headers: { "accept-encoding": "gzip, deflate" } }, metricsPort);
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.match(gunzipSync(packed.bytes).toString(), /\netcd_mvcc_put_total 0\n/);
});

test("the metrics listener serves metrics and health alone, without CORS", async () => {
  for (const path of ["/version", "/debug/vars", "/v3/kv/range"]) {
    assert.equal((await ask(path, {}, metricsPort)).status, 404, path);
  }
  const health = await ask("/health", {}, metricsPort);
  assert.equal(health.status, 200);
  assert.equal(health.headers["access-control-allow-origin"], undefined);
});

test("a host that is not on the white list is refused, an origin that is not listed gets no CORS", async () => {
  const refused = await ask("/health", { headers: { host: "evil.example:2379" } }, strictPort);
  assert.equal(refused.status, 421);
  assert.match(refused.body, /e\.g\. etcd --host-whitelist "evil\.example"\n/);
  const host = "good.example:2379";
  const listed = await ask("/health", { headers: { host, origin: "http://a:1" } }, strictPort);
  assert.equal(listed.headers["access-control-allow-origin"], "http://a:1");
  const other = await ask("/health", { headers: { host, origin: "http://b:1" } }, strictPort);
  assert.equal(other.headers["access-control-allow-origin"], undefined);
});

test("profiles are there when enabled and say what they are", async () => {
  const headers = { host: "good.example" };
  assert.match((await ask("/debug/pprof/", { headers }, strictPort)).body, /cpuprofile/);
  assert.equal((await ask("/debug/pprof/foo", { headers }, strictPort)).status, 404);
  const profile = await ask("/debug/pprof/profile?seconds=0.01", { headers }, strictPort);
  assert.equal(profile.headers["content-disposition"], 'attachment; filename="etcd.cpuprofile"');
  const json: unknown = JSON.parse(profile.body);
  assert(typeof json === "object" && json !== null && "nodes" in json);
  assert.equal((await ask("/debug/pprof/goroutine", { headers }, strictPort)).status, 501);
});

test("a socket that another listener accepted can be handed over with the bytes it has read", async () => {
  const server = servers[0]!;
  const front = createTcpServer((socket) => {
    socket.once("data", (bytes) => {
      socket.pause();
      socket.unshift(bytes);
      server.emit("connection", socket);
      socket.resume();
    });
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  const address = front.address();
  assert(typeof address === "object" && address !== null);
  const answer = await ask("/version", {}, address.port);
  front.close();
  assert.equal(answer.status, 200);
});

test("a handed-over connection that never ends its header is closed", async () => {
  const limits = { headerTimeoutMillis: 20, checkIntervalMillis: 10 };
  const server = createHttpServer(createMetricsHandler(options), limits);
  const front = createTcpServer((socket) => server.emit("connection", socket));
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  const address = front.address();
  assert(typeof address === "object" && address !== null);
  const client = connect(address.port, "127.0.0.1");
  client.write("GET / HT");
  client.resume();
  await new Promise((resolve) => client.on("close", resolve));
  front.close();
});

test("bytes that are no request are refused as Go refuses them", async () => {
  const client = connect(clientPort, "127.0.0.1");
  client.end("FOO\r\n\r\n");
  let text = "";
  client.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await new Promise((resolve) => client.on("close", resolve));
  assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\n400 Bad Request$/s);
});
