// A whole member of ours in this process, without a client port: store, log and network between members, joining a cluster that runs. For
// cases that look inside it, or make it do what no client can ask for.
import type { ClusterId, MemberId } from "../../src/base/brand.ts";
import { isEtcdError } from "../../src/base/errors.ts";
import type { ClusterMember } from "../../src/cluster/membership.ts";
import type { Member } from "../../src/member/member.ts";
import { publish } from "../../src/member/membership/publish.ts";
import { openMember } from "../../src/member/open.ts";
import { nodeClock } from "../../src/node/clock.ts";
import { nodeDigest } from "../../src/node/digest.ts";
import { nodeDisk } from "../../src/node/disk.ts";
import { MetricsRegistry } from "../../src/node/metrics.ts";
import { ETCD_METRICS } from "../../src/node/metrics-catalog.ts";
import { nodeRandom } from "../../src/node/random.ts";
import { openPeerNetwork, type PeerNetwork, type PeerTlsOptions } from "../../src/peer/network.ts";
import type { Fields, Logger } from "../../src/ports/logger.ts";
import { SIM_MEMBER_OPTIONS } from "../../src/sim/machine.ts";

export interface CairnMemberOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly port: number;
  readonly tls: PeerTlsOptions;
  readonly clusterId: ClusterId;
  readonly localId: MemberId;
  /** Those of the running cluster, this one included. */
  readonly members: readonly ClusterMember[];
}

export class CairnMember {
  readonly member: Member;
  readonly lines: string[];
  readonly #network: PeerNetwork;

  private constructor(member: Member, network: PeerNetwork, lines: string[]) {
    this.member = member;
    this.#network = network;
    this.lines = lines;
  }

  static async join(options: CairnMemberOptions): Promise<CairnMember> {
    const lines: string[] = [];
    const logger = linesLogger(lines);
    const metrics = new MetricsRegistry();
    metrics.declare(ETCD_METRICS);
    const peerUrls = [`http://127.0.0.1:${options.port}`];
    const network = openPeerNetwork({
      listen: [{ address: { kind: "tcp", host: "127.0.0.1", port: options.port }, secure: false }],
      peerUrls,
      tls: options.tls,
      dialTimeoutMillis: 2000,
      clock: nodeClock(),
      logger,
      metrics,
      onRemoved: () => lines.push("told that it was removed"),
    });
    await network.listen();
    const { name, clusterId, localId, members } = options;
    const member = await openMember(
      {
        ...SIM_MEMBER_OPTIONS,
        name,
        dataDirectory: options.dataDir,
        peerUrls,
        catchUpEntries: 10,
        initialCluster: { kind: "join", clusterId, localId, members },
      },
      {
        disk: nodeDisk(),
        clock: nodeClock(),
        digest: nodeDigest(),
        random: nodeRandom(),
        logger,
        metrics,
        lockDatabase: async () => ({ unlock: async () => {} }),
        connect: network.connect,
        onFatal: (error) => {
          throw error;
        },
      },
    );
    void publish(member);
    return new CairnMember(member, network, lines);
  }

  /** The revision, and HashKV there. */
  hash(): { readonly hash: number; readonly compact_revision: number; readonly hash_revision: number } {
    const { store, reader } = this.member;
    const job = store.hashKv(0 as never);
    if (isEtcdError(job)) throw new Error(job.message);
    while (!job.step(10_000, reader));
    const { hash, compactRevision, revision } = job.result!;
    return { hash, compact_revision: compactRevision, hash_revision: revision };
  }

  async close(): Promise<void> {
    await this.member.close();
    await this.#network.close();
  }
}

function linesLogger(lines: string[]): Logger {
  const say =
    (level: string) =>
    (message: string, fields?: Fields): void => {
      const text = JSON.stringify(fields ?? {}, (_, value) =>
        typeof value === "bigint" ? `${value}` : value,
      );
      lines.push(`${level} ${message} ${text}`);
    };
  const [debug, info, warn, error] = [() => {}, say("info"), say("warn"), say("error")];
  return { debug, info, warn, error, debugEnabled: false };
}
