// A real kube-apiserver on an etcd-compatible server, its kubectl, and a plain HTTPS client for its API. The Kubernetes cases use it.
// It listens on loopback alone, with a token that lives as long as the run directory.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { kubectl, peer } from "../peers.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { endWithRun } from "./children.ts";
import { type CommandOptions, type CommandResult, mustRun, runCommand, tail } from "./command.ts";
import { freePort } from "./ports.ts";
import type { Server } from "./server.ts";

const readyTimeoutMs = 90_000;
const token = "interop-token";

export class Kubernetes {
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #logFile: string;
  readonly #kubectl: readonly string[];
  readonly #ca: Buffer;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  private constructor(
    child: ChildProcess,
    port: number,
    logFile: string,
    kubectlArgv: readonly string[],
    certificates: Certificates,
  ) {
    this.#child = child;
    this.#port = port;
    this.#logFile = logFile;
    this.#kubectl = kubectlArgv;
    this.#ca = readFileSync(certificates.ca);
  }

  /** On one server, or on the members of a cluster. */
  static async start(servers: readonly Server[], dir: string): Promise<Kubernetes> {
    const own = await makeCertificates(join(dir, "apiserver-tls"));
    const port = await freePort();
    const tokens = join(dir, "tokens.csv");
    writeFileSync(tokens, `${token},admin,1,"system:masters"\n`, { mode: 0o600 });
    const argv = [
      await peer("kube-apiserver"),
      `--etcd-servers=${servers.map(({ clientUrl }) => clientUrl).join(",")}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
    ];
    const tls = servers[0]!.options.tls;
    if (tls !== undefined) {
      argv.push(
        `--etcd-cafile=${tls.ca}`,
        `--etcd-certfile=${tls.clientCert}`,
        `--etcd-keyfile=${tls.clientKey}`,
      );
    }
    argv.push(
      `--tls-cert-file=${own.serverCert}`,
      `--tls-private-key-file=${own.serverKey}`,
      `--token-auth-file=${tokens}`,
    );
    argv.push(
      "--endpoint-reconciler-type=none",
      "--authorization-mode=AlwaysAllow",
      "--advertise-address=127.0.0.1",
    );
    argv.push(
      "--service-cluster-ip-range=10.0.0.0/24",
      "--service-account-issuer=https://kubernetes.default.svc",
    );
    argv.push(
      `--service-account-key-file=${own.accountPublicKey}`,
      `--service-account-signing-key-file=${own.accountKey}`,
    );
    const logFile = join(dir, "apiserver.log");
    const log = openSync(logFile, "a");
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", log, log] });
    closeSync(log);
    endWithRun(child);
    const kubectlArgv = [
      await kubectl(),
      `--server=https://127.0.0.1:${port}`,
      `--certificate-authority=${own.ca}`,
      `--token=${token}`,
    ];
    const kubernetes = new Kubernetes(child, port, logFile, kubectlArgv, own);
    await kubernetes.waitReady();
    return kubernetes;
  }

  async waitReady(): Promise<void> {
    const end = Date.now() + readyTimeoutMs;
    while (Date.now() < end && this.#child.exitCode === null) {
      if ((await this.call("GET", "/readyz")).status === 200) return;
      await delay(100);
    }
    const log = tail(readFileSync(this.#logFile, "utf8"), 15);
    await this.stop();
    throw new Error(`kube-apiserver did not become ready\n${log}`);
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.kill("SIGKILL");
    await ended;
  }

  kubectl(args: readonly string[], input?: string): Promise<string> {
    return mustRun([...this.#kubectl, ...args], input === undefined ? {} : { input });
  }

  tryKubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand([...this.#kubectl, ...args], options);
  }

  /** One call of the API; status 0 when there was no answer. */
  call(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve) => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const outgoing = request(
        {
          host: "127.0.0.1",
          port: this.#port,
          path,
          method,
          headers,
          ca: this.#ca,
          agent: this.#agent,
          timeout: 30_000,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
          );
          response.on("error", () => resolve({ status: 0, text: "" }));
        },
      );
      outgoing.on("timeout", () => outgoing.destroy());
      outgoing.on("error", () => resolve({ status: 0, text: "" }));
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
