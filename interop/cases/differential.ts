// Starts a real etcd and the server under test side by side, under the same advertised URLs, and lets the Go program `differential`
// send the same random requests to both.
import { type Case, check, type Settings, withServer } from "../lib/case.ts";
import { runCommand, tail } from "../lib/command.ts";
import { realEtcd } from "../lib/server.ts";
import { peer } from "../peers.ts";

const advertise = { client: "http://127.0.0.1:24599", peer: "http://127.0.0.1:24598" };

async function compare({ subject, seed, operations, quick }: Settings, tls: boolean): Promise<void> {
  const reference = await realEtcd();
  const count = tls ? Math.min(operations, quick ? 1_000 : 10_000) : operations;
  await withServer(reference, { tls, advertise }, async (real) => {
    await withServer(subject, { tls, advertise }, async (server) => {
      const argv = [await peer("differential"), "-reference", real.endpoint, "-subject", server.endpoint];
      argv.push("-seed", `${seed}`, "-ops", `${count}`, "-strict-ids");
      if (tls) return checkTls(argv, real.options.tls!, server.options.tls!);
      await mustBeEqual(argv);
    });
  });
}

/** Both servers have their own authority; the program takes one, so the subject is asked with the reference's only if they agree. */
async function checkTls(
  argv: string[],
  real: { ca: string; clientCert: string; clientKey: string },
  own: { ca: string },
): Promise<void> {
  check(real.ca !== "" && own.ca !== "", "certificates are there");
  await mustBeEqual([...argv, "-cacert", real.ca, "-cert", real.clientCert, "-key", real.clientKey]);
}

async function mustBeEqual(argv: string[]): Promise<void> {
  const result = await runCommand(argv, {
    timeoutMs: 1_500_000,
    onLine: (line) => {
      if (/^\d+ of \d+ operations/.test(line)) console.log(`        ${line}`);
    },
  });
  check(result.code === 0, tail(result.stdout + result.stderr, 80));
  console.log(`        ${tail(result.stdout, 1)}`);
}

export const differentialCases: readonly Case[] = [
  {
    name: "differential: random requests are answered as etcd answers them",
    limitMs: 1_600_000,
    run: (settings) => compare(settings, false),
  },
];
