// A cluster of etcd-compatible members, each a process of its own kind: Cairn, etcd 3.7 or etcd 3.6. Cases start, kill, freeze, replace and
// add members; everything goes through etcd's own flags and the real etcdctl. No process outlives the cluster.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { peer } from "../peers.ts";
import type { Certificates } from "./certificates.ts";
import { type CommandResult, mustRun, runCommand } from "./command.ts";
import type { Network } from "./network.ts";
import { freePort } from "./ports.ts";
import { type Discovery, Server, type ServerCommand, type ServerOptions } from "./server.ts";

export interface ClusterMember {
  readonly name: string;
  readonly server: Server;
}

/** Of `etcdctl endpoint status`. Ids as decimal text: they do not fit a double. */
export interface MemberStatus {
  readonly memberId: string;
  readonly leader: string;
  readonly revision: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly isLearner: boolean;
}

const RECONFIGURE_LIMIT_MILLIS = 60_000;

export interface ClusterOptions {
  /** Flags of every member. */
  readonly extra?: readonly string[];
  readonly logLevel?: string;
  /** For clients. */
  readonly tls?: Certificates;
  /** For the members among each other; absent: they speak plainly. */
  readonly peerTls?: (name: string) => Certificates | "auto";
  /** Absent: every member is told who the others are. */
  readonly discovery?: Discovery;
  /** Absent: loopback. */
  readonly network?: Network;
  /** Where a member keeps its data, when not in the cluster's directory. */
  readonly dataDir?: (name: string) => string | undefined;
}

export class Cluster {
  readonly #dir: string;
  readonly #options: ClusterOptions;
  readonly members: ClusterMember[] = [];
  #made = 0;

  private constructor(dir: string, options: ClusterOptions) {
    this.#dir = dir;
    this.#options = options;
  }

  /** A new cluster of one member per command. Resolves when all of them are healthy. */
  static async start(
    dir: string,
    commands: readonly ServerCommand[],
    options: ClusterOptions = {},
  ): Promise<Cluster> {
    const cluster = new Cluster(dir, options);
    for (const command of commands) cluster.members.push(await cluster.#plan(command));
    const initial = cluster.initialCluster();
    for (const { server } of cluster.members)
      server.cluster = options.discovery === undefined ? { state: "new", initial } : options.discovery;
    try {
      for (const { server } of cluster.members) server.spawn();
      for (const { server } of cluster.members) await server.waitReady();
    } catch (error) {
      const logs = cluster.logs();
      await cluster.stop();
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${logs}`);
    }
    return cluster;
  }

  async #plan(command: ServerCommand): Promise<ClusterMember> {
    const name = `m${++this.#made}`;
    const { extra, logLevel, tls, peerTls, network, dataDir } = this.#options;
    const options: ServerOptions = {
      dataDir: dataDir?.(name) ?? join(this.#dir, name),
      name,
      ...(extra === undefined ? {} : { extra }),
      ...(logLevel === undefined ? {} : { logLevel }),
      ...(tls === undefined ? {} : { tls }),
      ...(peerTls === undefined ? {} : { peerTls: peerTls(name) }),
      ...(network === undefined ? {} : { place: { ...(await network.add()), clients: network.exec } }),
    };
    return { name, server: Server.plan(command, options, await freePort(), await freePort()) };
  }

  initialCluster(more: readonly ClusterMember[] = []): string {
    return [...this.members, ...more].map(({ name, server }) => `${name}=${server.peerUrl}`).join(",");
  }

  /** What stands before the command of a client. */
  get exec(): readonly string[] {
    return this.#options.network?.exec ?? [];
  }

  get endpoints(): string {
    return this.members.map(({ server }) => server.endpoint).join(",");
  }

  /** The flags with which etcd's own clients reach all members. */
  get clientFlags(): string[] {
    return this.#clientFlags("");
  }

  #clientFlags(without: string): string[] {
    const [, , ...security] = this.members[0]!.server.clientFlags;
    const urls = this.members
      .filter(({ name }) => name !== without)
      .map(({ server }) => (security.length === 0 ? server.endpoint : server.clientUrl));
    return ["--endpoints", urls.join(","), ...security];
  }

  member(name: string): ClusterMember {
    const found = this.members.find((member) => member.name === name);
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  }

  /** Adds a member with the real etcdctl, and starts it on an empty directory. */
  async add(command: ServerCommand, learner = false): Promise<ClusterMember> {
    const member = await this.#plan(command);
    const initial = this.initialCluster([member]);
    const flags = learner ? ["--learner"] : [];
    await this.reconfigure(["member", "add", member.name, "--peer-urls", member.server.peerUrl, ...flags]);
    member.server.cluster = { state: "existing", initial };
    this.members.push(member);
    await member.server.restart();
    return member;
  }

  /** Removes a member with the real etcdctl, and ends its process. */
  async remove(name: string): Promise<void> {
    const member = this.member(name);
    const id = await this.idOf(name);
    this.members.splice(this.members.indexOf(member), 1);
    await this.reconfigure(["member", "remove", id]);
    await member.server.stop();
  }

  /** Another program takes a member's place: it is removed, and a new one added. */
  async replace(name: string, command: ServerCommand): Promise<ClusterMember> {
    await this.remove(name);
    return this.add(command);
  }

  /** A member loses its data: removed, added again under its old name and URLs, and started empty (by `start`, if given). */
  async wipe(name: string, start?: () => Promise<void>): Promise<void> {
    const { server } = this.member(name);
    const id = await this.idOf(name);
    await server.kill();
    await this.reconfigure(["member", "remove", id], name);
    rmSync(server.options.dataDir, { recursive: true, force: true });
    await this.reconfigure(["member", "add", name, "--peer-urls", server.peerUrl], name);
    server.cluster = { state: "existing", initial: this.initialCluster() };
    await (start?.() ?? server.restart());
  }

  async idOf(name: string): Promise<string> {
    const found = (await this.list()).find(({ server }) => server === this.member(name).server.peerUrl);
    if (found === undefined) throw new Error(`${name} is no member`);
    return found.id;
  }

  /** Id (hex) and first peer URL of each member. */
  async list(): Promise<{ readonly id: string; readonly server: string; readonly learner: boolean }[]> {
    const lines = (await this.etcdctl(["member", "list"])).trim().split("\n");
    return lines.map((line) => {
      const [id, , , server, , learner] = line.split(", ");
      return { id: id!, server: server!, learner: learner === "true" };
    });
  }

  /** The name of the member that leads; waits for one. */
  async leader(limitMs = 30_000): Promise<ClusterMember> {
    const end = Date.now() + limitMs;
    while (Date.now() < end) {
      for (const member of this.members) {
        const status = await this.status(member);
        if (status !== undefined && status.leader !== "0" && status.leader === status.memberId) return member;
      }
      await delay(20);
    }
    throw new Error(`no leader within ${limitMs} ms`);
  }

  /** Undefined when the member does not answer. */
  async status({ server }: ClusterMember): Promise<MemberStatus | undefined> {
    const { stdout, code } = await runCommand(
      [
        ...this.exec,
        await peer("etcdctl"),
        ...server.clientFlags,
        "--command-timeout=1s",
        "--dial-timeout=1s",
        ...["endpoint", "status", "-w", "fields"],
      ],
      { timeoutMs: 5_000 },
    );
    if (code !== 0) return undefined;
    const field = (name: string): string => new RegExp(`^"${name}" : (.*)$`, "m").exec(stdout)?.[1] ?? "0";
    return {
      memberId: field("MemberID"),
      leader: field("Leader"),
      revision: Number(field("Revision")),
      raftTerm: Number(field("RaftTerm")),
      raftAppliedIndex: Number(field("RaftAppliedIndex")),
      isLearner: field("IsLearner") === "true",
    };
  }

  /** The hash of every member's keys at the newest revision that all of them have; fails when they differ. */
  async equalHashes(limitMs = 60_000): Promise<{ readonly hash: number; readonly revision: number }> {
    const end = Date.now() + limitMs;
    let newest = 0;
    for (const member of this.members) newest = Math.max(newest, (await this.status(member))?.revision ?? 0);
    for (const member of this.members) {
      while (((await this.status(member))?.revision ?? 0) < newest) {
        if (Date.now() > end) throw new Error(`${member.name} has not reached revision ${newest}`);
        await delay(50);
      }
    }
    const hashes: string[] = [];
    for (const { server, name } of this.members) {
      const etcdctl = [...this.exec, await peer("etcdctl"), ...server.clientFlags];
      const argv = [...etcdctl, "endpoint", "hashkv", "--rev", `${newest}`];
      const [{ HashKV }] = JSON.parse(await mustRun([...argv, "-w", "json"])) as [
        { HashKV: { hash: number; compact_revision?: number } },
      ];
      hashes.push(`${HashKV.hash} compacted ${HashKV.compact_revision ?? -1}`);
      if (hashes[0] !== hashes.at(-1)) {
        const label = `${this.members[0]!.name} (${this.members[0]!.server.command.label})`;
        throw new Error(
          `HashKV at ${newest}: ${label} ${hashes[0]}, ${name} (${server.command.label}) ${hashes.at(-1)}`,
        );
      }
    }
    return { hash: Number.parseInt(hashes[0]!, 10), revision: newest };
  }

  /**
   * A membership change: refused as long as the members have not been connected for some seconds, so tried again. One whose answer was
   * lost may have happened: then the next attempt is told so.
   */
  async reconfigure(args: readonly string[], without = ""): Promise<void> {
    const end = Date.now() + RECONFIGURE_LIMIT_MILLIS;
    for (let attempt = 1; ; attempt++) {
      const result = await this.tryEtcdctl(["--command-timeout=5s", ...args], without);
      if (result.code === 0) return;
      if (attempt > 1 && /member not found|Peer URLs already exists/.test(result.stderr)) return;
      const passing = /unhealthy cluster|not enough started members|leader|deadline|timed out|Unavailable/;
      if (Date.now() > end || !passing.test(result.stderr))
        throw new Error(`${args.join(" ")}: ${result.stderr.trim().split("\n").at(-1)}`);
      await delay(200);
    }
  }

  /** The real etcdctl against one member. */
  async etcdctlAt({ server }: ClusterMember, args: readonly string[]): Promise<CommandResult> {
    return runCommand([...this.exec, await peer("etcdctl"), ...server.clientFlags, ...args]);
  }

  /** The real etcdctl against all members but one. */
  async etcdctl(args: readonly string[], without = ""): Promise<string> {
    return mustRun(await this.#argv(args, without));
  }

  async tryEtcdctl(args: readonly string[], without = ""): Promise<CommandResult> {
    return runCommand(await this.#argv(args, without));
  }

  async #argv(args: readonly string[], without: string): Promise<string[]> {
    return [...this.exec, await peer("etcdctl"), ...this.#clientFlags(without), ...args];
  }

  async stop(): Promise<void> {
    // Frozen ones would not hear of their end.
    for (const { server } of this.members) server.signal("SIGCONT");
    await Promise.all(this.members.map(({ server }) => server.kill()));
  }

  /** The last lines of every member's log, for the message of a case that failed. */
  logs(): string {
    return this.members
      .filter(({ server }) => existsSync(server.logFile))
      .map(({ name, server }) => {
        const lines = server.log().trimEnd().split("\n").slice(-6);
        return `log of ${name} (${server.command.label}):\n${lines.map((line) => line.slice(0, 400)).join("\n")}`;
      })
      .join("\n");
  }
}
