// Starts, stops and kills one etcd-compatible server: the one under test or a real etcd, told apart only by its command.
// Cases and the bench use it. It must never leave a process behind and never wait without a limit.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { get as httpGet } from "node:http";
import { get as httpsGet } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { peer } from "../peers.ts";
import type { Certificates } from "./certificates.ts";
import { endWithRun } from "./children.ts";
import { tail } from "./command.ts";
import { isHealthy, type Place } from "./network.ts";
import { projectRoot } from "./paths.ts";
import { freePort } from "./ports.ts";

/** A program with its first arguments; etcd's own flags follow. */
export interface ServerCommand {
  readonly label: string;
  readonly argv: readonly string[];
}

/** With which members a server without data begins. */
export interface InitialCluster {
  readonly state: "new" | "existing";
  /** name=url,… */
  readonly initial: string;
}

/** Where a server without data asks who the others are. */
export interface Discovery {
  readonly discovery: { readonly token: string; readonly endpoints: string };
}

export interface ServerOptions {
  readonly dataDir: string;
  readonly name?: string;
  readonly tls?: Certificates;
  /** Of the network between members; "auto": certificates of its own making, which nobody verifies. */
  readonly peerTls?: Certificates | "auto";
  readonly extra?: readonly string[];
  /** Advertised instead of the real URLs: two servers that advertise the same get equal member and cluster ids. */
  readonly advertise?: { readonly client: string; readonly peer: string };
  readonly logLevel?: string;
  /** In a network of its own; else loopback. `clients`: what stands before the commands of its clients. */
  readonly place?: Place & { readonly clients: readonly string[] };
}

const readyTimeoutMs = 30_000;

/** The server under test: CAIRN_SUBJECT, split at spaces, or this checkout's own bin/etcd. `etcd` means the real one. */
export async function subject(text = process.env["CAIRN_SUBJECT"]): Promise<ServerCommand> {
  if (text === undefined || text === "") return { label: "cairn", argv: [join(projectRoot, "bin", "etcd")] };
  if (text === "etcd" || text === "etcd-3.6") return { label: text, argv: [await peer(text)] };
  return { label: "subject", argv: text.split(" ") };
}

export async function realEtcd(name: "etcd" | "etcd-3.6" = "etcd"): Promise<ServerCommand> {
  return { label: name, argv: [await peer(name)] };
}

export class Server {
  /** Another program may go on with the same data. */
  command: ServerCommand;
  /** Flags of the next start, behind the others. */
  more: readonly string[] = [];
  readonly options: ServerOptions;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly logFile: string;
  #child: ChildProcess | undefined;
  /** Undefined: a cluster of itself alone. */
  cluster: InitialCluster | Discovery | undefined;

  private constructor(command: ServerCommand, options: ServerOptions, clientPort: number, peerPort: number) {
    this.command = command;
    this.options = options;
    this.clientPort = clientPort;
    this.peerPort = peerPort;
    this.logFile = `${options.dataDir}.log`;
  }

  /** A server that is not started yet: its ports are taken. */
  static plan(command: ServerCommand, options: ServerOptions, clientPort: number, peerPort: number): Server {
    return new Server(command, options, clientPort, peerPort);
  }

  /** Starts the server and resolves when it answers a health request. */
  static async start(command: ServerCommand, options: ServerOptions): Promise<Server> {
    const server = new Server(command, options, await freePort(), await freePort());
    await server.restart();
    return server;
  }

  get endpoint(): string {
    return `${this.options.place?.clientHost ?? "127.0.0.1"}:${this.clientPort}`;
  }

  get clientUrl(): string {
    return `${this.options.tls === undefined ? "http" : "https"}://${this.endpoint}`;
  }

  get peerUrl(): string {
    const scheme = this.options.peerTls === undefined ? "http" : "https";
    return `${scheme}://${this.options.place?.peerHost ?? "127.0.0.1"}:${this.peerPort}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The flags that etcd's own clients need to reach this server. */
  get clientFlags(): string[] {
    const tls = this.options.tls;
    const flags = ["--endpoints", tls === undefined ? this.endpoint : this.clientUrl];
    if (tls !== undefined) flags.push("--cacert", tls.ca, "--cert", tls.clientCert, "--key", tls.clientKey);
    return flags;
  }

  flags(): string[] {
    const { dataDir, tls, extra, advertise, logLevel } = this.options;
    const name = this.options.name ?? "default";
    const { peerUrl } = this;
    const advertisedPeer = advertise?.peer ?? peerUrl;
    const flags = ["--name", name, "--data-dir", dataDir, "--log-level", logLevel ?? "warn"];
    flags.push("--listen-client-urls", this.clientUrl, "--listen-peer-urls", peerUrl);
    flags.push("--advertise-client-urls", advertise?.client ?? this.clientUrl);
    flags.push("--initial-advertise-peer-urls", advertisedPeer);
    flags.push(...this.#beginning(`${name}=${advertisedPeer}`));
    if (tls !== undefined) {
      flags.push("--cert-file", tls.serverCert, "--key-file", tls.serverKey);
      flags.push("--trusted-ca-file", tls.ca, "--client-cert-auth");
    }
    return [...flags, ...this.#peerSecurity(), ...(extra ?? []), ...this.more];
  }

  #beginning(alone: string): string[] {
    const cluster = this.cluster ?? { state: "new", initial: alone };
    if ("discovery" in cluster) {
      const { token, endpoints } = cluster.discovery;
      return ["--discovery-token", token, "--discovery-endpoints", endpoints];
    }
    return ["--initial-cluster", cluster.initial, "--initial-cluster-state", cluster.state];
  }

  #peerSecurity(): string[] {
    const { peerTls } = this.options;
    if (peerTls === undefined) return [];
    if (peerTls === "auto") return ["--peer-auto-tls"];
    return [
      ...["--peer-cert-file", peerTls.serverCert, "--peer-key-file", peerTls.serverKey],
      ...["--peer-trusted-ca-file", peerTls.ca, "--peer-client-cert-auth"],
    ];
  }

  /** Starts the process again on the same data and ports. */
  async restart(): Promise<void> {
    this.spawn();
    await this.waitReady();
  }

  /** Starts the process without waiting for it. */
  spawn(): void {
    if (this.#child !== undefined) throw new Error("the server runs already");
    const log = openSync(this.logFile, "a");
    const argv = [...(this.options.place?.exec ?? []), ...this.command.argv, ...this.flags()];
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.on("error", () => {
      // waitReady tells, with the log.
    });
    endWithRun(child);
    this.#child = child;
  }

  async waitReady(timeoutMs = readyTimeoutMs): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (Date.now() < end) {
      const child = this.#child;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) break;
      if ((await this.#healthy()) && child.exitCode === null) return;
      await delay(10);
    }
    const why = this.#child?.exitCode ?? this.#child?.signalCode ?? `no answer within ${timeoutMs} ms`;
    await this.kill();
    throw new Error(`${this.command.label} did not become ready (${why})\n${tail(this.log())}`);
  }

  async #healthy(): Promise<boolean> {
    const { place } = this.options;
    if (place !== undefined) return isHealthy(place.clients, this.clientFlags);
    return (await this.httpStatus("/health")) === 200;
  }

  log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  /** Asks for a clean end and waits for it. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Freezes it (SIGSTOP) and lets it go on (SIGCONT). */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  /** Waits until the process ends by itself; its exit code. */
  async ended(limitMs = 30_000): Promise<number> {
    const child = this.#child;
    if (child === undefined) throw new Error("nothing runs");
    const end = Date.now() + limitMs;
    while (child.exitCode === null && child.signalCode === null) {
      if (Date.now() > end) throw new Error(`it has not ended within ${limitMs} ms`);
      await delay(20);
    }
    this.#child = undefined;
    return child.exitCode ?? -1;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
    await ended;
    clearTimeout(timer);
  }

  /** The body of an HTTP page of the client port. */
  async httpText(path: string): Promise<string> {
    return (await this.#http(path)).body;
  }

  async httpStatus(path: string): Promise<number> {
    return (await this.#http(path)).status;
  }

  #http(path: string): Promise<{ status: number; body: string }> {
    const tls = this.options.tls;
    return new Promise((resolve) => {
      const done = (status: number, body: string): void => resolve({ status, body });
      const onResponse = (response: import("node:http").IncomingMessage): void => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => done(response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8")));
        response.on("error", () => done(0, ""));
      };
      const url = `${this.clientUrl}${path}`;
      const request =
        tls === undefined
          ? httpGet(url, { agent: false, timeout: 5_000 }, onResponse)
          : httpsGet(
              url,
              { agent: false, timeout: 5_000, ...readTls(tls), allowPartialTrustChain: true },
              onResponse,
            );
      request.on("timeout", () => request.destroy());
      request.on("error", () => done(0, ""));
    });
  }
}

export function readTls(tls: Certificates): { ca: Buffer; cert: Buffer; key: Buffer } {
  return { ca: readFileSync(tls.ca), cert: readFileSync(tls.clientCert), key: readFileSync(tls.clientKey) };
}
