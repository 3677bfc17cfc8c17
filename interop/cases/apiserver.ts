// A real kube-apiserver 1.37.2 on the server under test: what kubectl does every day, over TLS as clusters run it, twenty kill -9 of the
// store under the apiserver's load, and three members of which each is lost. Needs the one long build of the suite.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Case, check, equal, match, type Settings, withServer } from "../lib/case.ts";
import { makeCertificates } from "../lib/certificates.ts";
import type { Cluster, ClusterMember, ClusterOptions } from "../lib/cluster.ts";
import { times, until, withCluster } from "../lib/cluster-case.ts";
import { Kubernetes } from "../lib/kubernetes.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";
import type { Server } from "../lib/server.ts";

const configMaps = "/api/v1/namespaces/default/configmaps";

interface List {
  readonly metadata: {
    readonly continue?: string;
    readonly remainingItemCount?: number;
    readonly resourceVersion: string;
  };
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

async function withKubernetes(
  settings: Settings,
  tls: boolean,
  body: (kubernetes: Kubernetes, server: Server) => Promise<void>,
): Promise<void> {
  await withServer(
    settings.subject,
    { tls, extra: ["--watch-progress-notify-interval", "5s"] },
    async (server, dir) => {
      const kubernetes = await Kubernetes.start([server], dir);
      try {
        await body(kubernetes, server);
      } finally {
        await kubernetes.stop();
      }
    },
  );
}

function configMap(name: string, data: string): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { data } };
}

async function everyday(kubernetes: Kubernetes): Promise<void> {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-1", labels: { zone: "a" } } };
  await kubernetes.kubectl(["create", "-f", "-"], JSON.stringify(node));
  match(await kubernetes.kubectl(["get", "nodes"]), /node-1\s+Unknown|node-1\s+NotReady/, "get nodes");
  await pages(kubernetes);
  await watching(kubernetes);
  await conflict(kubernetes);
  await customResources(kubernetes);
  await kubernetes.kubectl(["delete", "node", "node-1"]);
  match((await kubernetes.tryKubectl(["get", "node", "node-1"])).stderr, /NotFound/, "a deleted node");
}

/** 130 objects, listed in pages of 50 from the store at one revision. */
async function pages(kubernetes: Kubernetes): Promise<void> {
  const items = Array.from({ length: 130 }, (_, i) =>
    configMap(`page-${i.toString().padStart(3, "0")}`, "x"),
  );
  await kubernetes.kubectl(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  const seen: string[] = [];
  let more = "";
  do {
    const answer = await kubernetes.call(
      "GET",
      `${configMaps}?limit=50&continue=${encodeURIComponent(more)}`,
    );
    equal(answer.status, 200, `status of a page: ${answer.text.slice(0, 300)}`);
    const page = JSON.parse(answer.text) as List;
    if (seen.length === 0)
      equal(page.metadata.remainingItemCount, 130 - page.items.length, "remaining items");
    seen.push(...page.items.map(({ metadata }) => metadata.name));
    more = page.metadata.continue ?? "";
    // A write between the pages must not show in them.
    await kubernetes.call("POST", configMaps, configMap(`zz-between-${seen.length}`, "y"));
  } while (more !== "");
  equal(
    seen,
    items.map((_, i) => `page-${i.toString().padStart(3, "0")}`),
    "names over all pages",
  );
  await kubernetes.kubectl(["delete", "configmaps", "--all"]);
  const left = JSON.parse((await kubernetes.call("GET", configMaps)).text) as List;
  equal(left.items.length, 0, "config maps after deletion of all");
}

async function watching(kubernetes: Kubernetes): Promise<void> {
  const seen: string[] = [];
  const watcher = kubernetes.tryKubectl(
    [
      "get",
      "configmaps",
      "--watch",
      "--output-watch-events",
      "-o",
      "custom-columns=T:.type,N:.object.metadata.name,D:.object.data.data",
      "--no-headers",
    ],
    {
      timeoutMs: 5_000,
      onLine: (line) => seen.push(line.replaceAll(/\s+/g, " ").trim()),
    },
  );
  await delay(1_500);
  await kubernetes.call("POST", configMaps, configMap("seen", "1"));
  await kubernetes.call("PUT", `${configMaps}/seen`, configMap("seen", "2"));
  await kubernetes.call("DELETE", `${configMaps}/seen`);
  await watcher;
  equal(seen, ["ADDED seen 1", "MODIFIED seen 2", "DELETED seen 2"], "events of kubectl get --watch");
}

async function conflict(kubernetes: Kubernetes): Promise<void> {
  await kubernetes.call("POST", configMaps, configMap("contended", "1"));
  const stale = JSON.parse((await kubernetes.call("GET", `${configMaps}/contended`)).text) as object;
  equal(
    (await kubernetes.call("PUT", `${configMaps}/contended`, configMap("contended", "2"))).status,
    200,
    "an update",
  );
  const refused = await kubernetes.call("PUT", `${configMaps}/contended`, stale);
  equal(refused.status, 409, "status of an update with an old version");
  match(
    refused.text,
    /the object has been modified; please apply your changes to the latest version/,
    "the conflict's text",
  );
  equal(
    (await kubernetes.call("POST", configMaps, configMap("contended", "3"))).status,
    409,
    "a second creation",
  );
  equal((await kubernetes.call("DELETE", `${configMaps}/contended`)).status, 200, "a deletion");
}

async function customResources(kubernetes: Kubernetes): Promise<void> {
  const schema = {
    openAPIV3Schema: {
      type: "object",
      properties: { spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
    },
  };
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "stones.cairn.example" },
    spec: {
      group: "cairn.example",
      scope: "Namespaced",
      names: { plural: "stones", singular: "stone", kind: "Stone" },
      versions: [{ name: "v1", served: true, storage: true, schema }],
    },
  };
  await kubernetes.kubectl(["create", "-f", "-"], JSON.stringify(definition));
  await kubernetes.kubectl([
    "wait",
    "--for=condition=Established",
    "crd/stones.cairn.example",
    "--timeout=30s",
  ]);
  const stone = {
    apiVersion: "cairn.example/v1",
    kind: "Stone",
    metadata: { name: "first" },
    spec: { weight: 3 },
  };
  await kubernetes.kubectl(["create", "-f", "-"], JSON.stringify(stone));
  match(await kubernetes.kubectl(["get", "stones"]), /first/, "get stones");
  await kubernetes.kubectl(["patch", "stone", "first", "--type=merge", "-p", '{"spec":{"weight":4}}']);
  equal(
    await kubernetes.kubectl(["get", "stone", "first", "-o", "jsonpath={.spec.weight}"]),
    "4",
    "a patched stone",
  );
  await kubernetes.kubectl(["delete", "crd", "stones.cairn.example", "--timeout=60s"]);
}

/** Creates and deletes through the apiserver without pause and remembers what was acknowledged. */
class Load {
  created = 0;
  readonly present = new Set<string>();
  readonly gone = new Set<string>();
  /** Without an answer: may or may not have happened. */
  readonly unknown = new Set<string>();
  #stopped = false;
  #next = 0;

  async run(kubernetes: Kubernetes): Promise<void> {
    while (!this.#stopped) {
      const name = `load-${this.#next++}`;
      const created = await kubernetes.call("POST", configMaps, configMap(name, name));
      if (created.status !== 201) {
        this.unknown.add(name);
        await delay(20);
        continue;
      }
      this.created++;
      this.present.add(name);
      if (this.#next % 4 !== 0) continue;
      this.present.delete(name);
      const deleted = await kubernetes.call("DELETE", `${configMaps}/${name}`);
      (deleted.status === 200 ? this.gone : this.unknown).add(name);
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

async function killRounds(settings: Settings, kubernetes: Kubernetes, server: Server): Promise<void> {
  const rounds = settings.quick ? 3 : 20;
  const load = await beside(kubernetes, async () => {
    for (let round = 0; round < rounds; round++) {
      await delay(300 + ((settings.seed + round * 7919) % 700));
      await server.kill();
      await server.restart();
      await kubernetes.waitReady();
    }
    await delay(500);
  });
  await nothingLost(kubernetes, load, `after ${rounds} kills`);
  check(load.present.size > rounds, `only ${load.present.size} objects were created`);
}

/** Runs the body beside eight workers' load; the workers have ended when it resolves. */
async function beside(kubernetes: Kubernetes, body: (load: Load) => Promise<void>): Promise<Load> {
  const load = new Load();
  const workers = Array.from({ length: 8 }, () => load.run(kubernetes));
  try {
    await body(load);
  } finally {
    load.stop();
    await Promise.all(workers);
  }
  return load;
}

async function nothingLost(kubernetes: Kubernetes, load: Load, when: string): Promise<void> {
  const listed = JSON.parse((await kubernetes.call("GET", configMaps)).text) as List;
  const names = new Set(listed.items.map(({ metadata }) => metadata.name));
  const lost = [...load.present].filter((name) => !names.has(name));
  const risen = [...load.gone].filter((name) => names.has(name));
  const strange = [...names].filter(
    (name) => name !== "kube-root-ca.crt" && !load.present.has(name) && !load.unknown.has(name),
  );
  equal({ lost, risen, strange }, { lost: [], risen: [], strange: [] }, when);
  const { present, gone, unknown } = load;
  console.log(`        ${when}: ${present.size} objects kept, ${gone.size} deleted, ${unknown.size} unknown`);
}

/** Three members with certificates for clients and for each other. Each is killed, and each is stopped, while Kubernetes writes. */
async function losingMembers({ subject, quick }: Settings): Promise<void> {
  const dir = makeRunDir("apiserver-cluster");
  const tls = await makeCertificates(join(dir, "tls"));
  const peerTls = await makeCertificates(join(dir, "peer-tls"));
  const options: ClusterOptions = {
    tls,
    peerTls: () => peerTls,
    extra: ["--watch-progress-notify-interval", "5s"],
  };
  const body = async (cluster: Cluster): Promise<void> => {
    const kubernetes = await Kubernetes.start(
      cluster.members.map(({ server }) => server),
      dir,
    );
    try {
      if (!quick) await everyday(kubernetes);
      const load = await beside(kubernetes, async (running) => {
        for (const end of ["kill", "stop"] as const)
          for (const member of cluster.members) await goesOnWithout(member, end, running);
      });
      await nothingLost(kubernetes, load, "after each of three members was killed and stopped");
      await cluster.equalHashes();
    } finally {
      await kubernetes.stop();
    }
  };
  try {
    await withCluster(times(3, subject), body, options);
  } finally {
    removeRunDir(dir);
  }
}

async function goesOnWithout(
  { name, server }: ClusterMember,
  end: "kill" | "stop",
  load: Load,
): Promise<void> {
  await server[end]();
  const created = load.created;
  await until(async () => load.created > created + 40, `writes after the ${end} of ${name}`);
  await server.restart();
  const again = load.created;
  await until(async () => load.created > again + 40, `writes with ${name} back`);
}

export const apiserverCases: readonly Case[] = [
  {
    name: "kube-apiserver: on three members over TLS, writes go on without any one of them, and nothing is lost",
    limitMs: 900_000,
    run: losingMembers,
  },
  {
    name: "kube-apiserver: becomes ready; nodes, pages, watch, conflicts, custom resources",
    limitMs: 900_000,
    run: (settings) => withKubernetes(settings, true, everyday),
  },
  {
    name: "kube-apiserver: kill -9 of the store under load loses nothing that was acknowledged",
    limitMs: 900_000,
    run: (settings) =>
      withKubernetes(settings, false, (kubernetes, server) => killRounds(settings, kubernetes, server)),
  },
];
