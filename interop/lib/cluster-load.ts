// The Go program interop/clusterload as an object: a load through etcd's own client that judges what the cluster tells it. Cases of
// clusters use it. It ends with the case.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { peer } from "../peers.ts";
import { endWithRun } from "./children.ts";
import type { Cluster } from "./cluster.ts";

export interface LoadReport {
  readonly puts: number;
  readonly gets: number;
  readonly retries: number;
  readonly events: number;
  readonly revision: number;
  /** The longest time without an acknowledged write since the last mark. */
  readonly longestGapMillis: number;
  readonly problems: readonly string[];
}

const ANSWER_LIMIT_MILLIS = 200_000;

export class ClusterLoad {
  readonly #child: ChildProcess;
  readonly #waiting: ((report: LoadReport) => void)[] = [];
  #closed = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      this.#waiting.shift()?.(JSON.parse(line) as LoadReport);
    });
  }

  static async start(cluster: Cluster, more: readonly string[] = []): Promise<ClusterLoad> {
    const argv = [...cluster.exec, await peer("clusterload"), "--endpoints", cluster.endpoints, ...more];
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["pipe", "pipe", "inherit"],
    });
    endWithRun(child);
    const load = new ClusterLoad(child);
    await load.report();
    return load;
  }

  setEndpoints(endpoints: string): Promise<LoadReport> {
    return this.#say(`endpoints ${endpoints}`);
  }

  mark(): Promise<LoadReport> {
    return this.#say("mark");
  }

  /** Resolves when no call is under way any more. */
  pause(): Promise<LoadReport> {
    return this.#say("pause");
  }

  resume(): Promise<LoadReport> {
    return this.#say("resume");
  }

  report(): Promise<LoadReport> {
    return this.#say("report");
  }

  /** Ends the load; every key is read once more, and the watch must have seen everything. Fails when anything was wrong. */
  async finish(): Promise<LoadReport> {
    const last = this.#answer();
    this.#closed = true;
    this.#child.stdin!.end();
    const report = await last;
    if (report.problems.length > 0) throw new Error(`the load found:\n${report.problems.join("\n")}`);
    return report;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #say(line: string): Promise<LoadReport> {
    if (this.#closed) throw new Error("the load has ended");
    const answer = this.#answer();
    this.#child.stdin!.write(`${line}\n`);
    return answer;
  }

  #answer(): Promise<LoadReport> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error("the load does not answer: some call neither succeeds nor fails")),
        ANSWER_LIMIT_MILLIS,
      );
      this.#waiting.push((report) => {
        clearTimeout(timer);
        resolve(report);
      });
    });
  }
}
