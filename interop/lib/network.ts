// A network of its own for one cluster, made of Linux network namespaces: each member has one interface towards its peers and one towards
// clients, so that members can be parted from each other while clients still reach them. Needs root and iproute2. Nothing of it touches
// the machine's own interfaces, and close() takes all of it away.
import { peer } from "../peers.ts";
import { mustRun, runCommand } from "./command.ts";

const PEERS = "10.77.1";
const CLIENTS = "10.77.2";

export interface Place {
  /** What stands before a program's own command to run it in here. */
  readonly exec: readonly string[];
  readonly peerHost: string;
  readonly clientHost: string;
}

export class Network {
  readonly #prefix = `cairn-${process.pid}`;
  readonly #spaces: string[] = [];
  #members = 0;

  /** An empty network: a hub with two bridges, where clients live too. */
  static async create(): Promise<Network> {
    const network = new Network();
    try {
      const hub = await network.#space("hub");
      for (const bridge of ["peers", "clients"]) {
        await mustRun(["ip", "-n", hub, "link", "add", bridge, "type", "bridge"]);
        await mustRun(["ip", "-n", hub, "link", "set", bridge, "up"]);
      }
      await mustRun(["ip", "-n", hub, "addr", "add", `${CLIENTS}.254/24`, "dev", "clients"]);
      await mustRun(["ip", "-n", hub, "link", "set", "lo", "up"]);
    } catch (error) {
      await network.close();
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`no network namespace can be made (this needs root, and iproute2): ${why}`);
    }
    return network;
  }

  /** What stands before a client's command. */
  get exec(): readonly string[] {
    return ["ip", "netns", "exec", this.#hub];
  }

  async add(): Promise<Place> {
    const number = ++this.#members;
    const space = await this.#space(`m${number}`);
    await mustRun(["ip", "-n", space, "link", "set", "lo", "up"]);
    for (const [bridge, net, device] of [
      ["peers", PEERS, `p${number}`],
      ["clients", CLIENTS, `c${number}`],
    ] as const) {
      await mustRun([
        "ip",
        "-n",
        this.#hub,
        "link",
        "add",
        device,
        "type",
        "veth",
        "peer",
        "name",
        bridge,
        "netns",
        space,
      ]);
      await mustRun(["ip", "-n", this.#hub, "link", "set", device, "master", bridge, "up"]);
      await mustRun(["ip", "-n", space, "addr", "add", `${net}.${number}/24`, "dev", bridge]);
      await mustRun(["ip", "-n", space, "link", "set", bridge, "up"]);
    }
    return {
      exec: ["ip", "netns", "exec", space],
      peerHost: `${PEERS}.${number}`,
      clientHost: `${CLIENTS}.${number}`,
    };
  }

  /** Parts a member (counted from 1) from its peers; packets vanish without a word. */
  async cut(number: number): Promise<void> {
    await mustRun(["ip", "-n", this.#hub, "link", "set", `p${number}`, "nomaster"]);
  }

  async heal(number: number): Promise<void> {
    await mustRun(["ip", "-n", this.#hub, "link", "set", `p${number}`, "master", "peers"]);
  }

  async close(): Promise<void> {
    for (const space of this.#spaces.splice(0)) await runCommand(["ip", "netns", "del", space]);
  }

  get #hub(): string {
    return this.#spaces[0]!;
  }

  async #space(name: string): Promise<string> {
    const space = `${this.#prefix}-${name}`;
    await mustRun(["ip", "netns", "add", space]);
    this.#spaces.push(space);
    return space;
  }
}

/** Whether the server answers a health request, asked from inside its network. */
export async function isHealthy(exec: readonly string[], clientFlags: readonly string[]): Promise<boolean> {
  const argv = [...exec, await peer("etcdctl"), ...clientFlags, "--command-timeout=2s", "endpoint", "health"];
  return (await runCommand(argv, { timeoutMs: 5_000 })).code === 0;
}
