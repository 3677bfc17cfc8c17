// A server of constant answers on the network edge, to measure and to test it: `node dist/scripts/edge-server.js PORT
// [tls=DIRECTORY] [limited]`. With tls it makes a certificate in the directory; limited allows 100 streams per connection. Answers every gRPC method of etcd's KV with one prepared Range reply and plain HTTP/2 requests with a short
// body (which h2spec needs). On SIGINT it prints the CPU it has used per call.
import { GrpcServer } from "../src/grpc/server.ts";
import { nodeClock } from "../src/node/clock.ts";
import { Listener } from "../src/node/listener.ts";
import { TlsContext } from "../src/node/tls-context.ts";
import { selfSignedCertificate } from "../src/node/tls-self-signed.ts";
import { silentLogger } from "../src/ports/logger.ts";
import type { Method } from "../src/service/call.ts";

const port = Number(process.argv[2] ?? 24000);
const REPLY = Uint8Array.from([
  ...[0x0a, 0x10, 8, 0x80, 0x80, 0x80, 0x80, 0x10, 0x10, 0x80, 0x80, 0x80, 0x80, 0x20, 0x18, 2, 0x20, 2],
  ...[0x12, 0x15, 0x0a, 3, 0x66, 0x6f, 0x6f, 0x10, 2, 0x18, 2, 0x20, 1, 0x2a, 8, 1, 2, 3, 4, 5, 6, 7, 8],
  ...[0x20, 1],
]);

let calls = 0;
const constant: Method = {
  kind: "unary",
  handle(call) {
    calls++;
    call.sendCopy(REPLY);
    call.end();
  },
};
const methods = new Map<string, Method>([
  ["/etcdserverpb.KV/Range", constant],
  ["/etcdserverpb.KV/Put", constant],
]);

const server = new GrpcServer({
  methods,
  clock: nodeClock(),
  maxReceiveBytes: 2 << 20,
  maxConcurrentStreams: process.argv.includes("limited") ? 100 : 0xffffffff,
  pingLimits: undefined,
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
  onPlainRequest: (request) => request.respond(200, [["content-type", "text/plain"]], "hello\n"),
  plainRequestsWithoutTls: true,
});

async function tlsContext(): Promise<TlsContext | undefined> {
  const directory = process.argv.find((word) => word.startsWith("tls="))?.slice(4);
  if (directory === undefined) return undefined;
  const files = await selfSignedCertificate({
    directory,
    hosts: ["127.0.0.1:1", "localhost:1"],
    validityYears: 1,
    clientUsage: false,
    logger: silentLogger,
  });
  const none = { trustedCaFile: "", clientCertAuth: false, crlFile: "", ciphers: undefined };
  const open = { allowedCommonNames: [], allowedHostnames: [], minVersion: undefined, maxVersion: undefined };
  return new TlsContext({ ...files, ...none, ...open }, silentLogger);
}

await Listener.open({
  address: { kind: "tcp", host: "127.0.0.1", port },
  tls: await tlsContext(),
  onHttp2: (socket, head) => server.accept(socket, head),
  onHttp1: undefined,
  logger: silentLogger,
});
console.log(`listening on ${port}`);

let counted = { calls: 0, cpu: process.cpuUsage() };
function report(): void {
  const used = process.cpuUsage(counted.cpu);
  const done = calls - counted.calls;
  if (done > 0) {
    const cpu = (used.user + used.system) / done;
    console.log(`${done} calls, ${cpu.toFixed(2)} µs of CPU per call`);
  }
  counted = { calls, cpu: process.cpuUsage() };
}
process.on("SIGUSR2", report);
process.on("SIGINT", () => {
  report();
  process.exit(0);
});
