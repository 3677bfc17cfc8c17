// Members that find each other in a registry: one etcd keeps it, members are given a token and its address and nothing about each other.
// Members under test alone, and mixed with a real one.
import { type Case, equal, match, type Settings, withServer } from "../lib/case.ts";
import { times, withCluster } from "../lib/cluster-case.ts";
import { mustRun, runCommand } from "../lib/command.ts";
import { makeRunDir, removeRunDir } from "../lib/paths.ts";
import { freePort } from "../lib/ports.ts";
import { realEtcd, Server, type ServerCommand } from "../lib/server.ts";
import { peer } from "../peers.ts";

async function discovering(
  registryCommand: ServerCommand,
  commands: readonly ServerCommand[],
  { subject }: Settings,
): Promise<void> {
  await withServer(registryCommand, {}, async (registry) => {
    const etcdctl = [await peer("etcdctl"), ...registry.clientFlags];
    const token = "interop";
    await mustRun([...etcdctl, "put", `/_etcd/registry/${token}/_config/size`, `${commands.length}`]);
    const discovery = { discovery: { token, endpoints: registry.clientUrl } };
    await withCluster(
      commands,
      async (cluster) => {
        await cluster.etcdctl(["put", "key", "value"]);
        equal((await cluster.list()).length, commands.length, "members");
        await cluster.equalHashes();
        // Restarted ones have data, and do not ask again.
        const first = cluster.members[0]!;
        await first.server.kill();
        await first.server.restart();
        await cluster.equalHashes();
        await refusesOneMore(subject, discovery);
      },
      { discovery },
    );
    const listed = await mustRun([
      ...etcdctl,
      "get",
      "--prefix",
      `/_etcd/registry/${token}/members/`,
      "--keys-only",
    ]);
    equal(listed.trim().split(/\n+/).length, commands.length, "members in the registry");
  });
}

/** The cluster is full: whoever comes later is refused with etcd's text, and ends. */
async function refusesOneMore(
  command: ServerCommand,
  discovery: { readonly discovery: { readonly token: string; readonly endpoints: string } },
): Promise<void> {
  const dir = makeRunDir("discovery");
  try {
    const late = Server.plan(
      command,
      { dataDir: `${dir}/late`, name: "late" },
      await freePort(),
      await freePort(),
    );
    late.cluster = discovery;
    const { code, stderr, stdout } = await runCommand([...command.argv, ...late.flags()], {
      timeoutMs: 20_000,
    });
    match(`exit ${code}\n${stderr}${stdout}`, /discovery: cluster is full/, "what one too many says");
    equal(code, 1, "its exit code");
  } finally {
    removeRunDir(dir);
  }
}

export const discoveryCases: readonly Case[] = [
  {
    name: "discovery: three members under test find each other in a registry of etcd",
    run: async (settings) => discovering(await realEtcd(), times(3, settings.subject), settings),
  },
  {
    name: "discovery: members under test and one of etcd find each other in a registry under test",
    run: async (settings) =>
      discovering(settings.subject, [settings.subject, settings.subject, await realEtcd()], settings),
  },
];
