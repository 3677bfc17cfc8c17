// Runs the Go program of interop/clientv3 against the server under test, plain and under TLS. Its own cases are listed in its output.
import { type Case, check, withServer } from "../lib/case.ts";
import { runCommand, tail } from "../lib/command.ts";
import { peer } from "../peers.ts";

function suite(tls: boolean): Case {
  return {
    name: `clientv3: etcd's Go client and its packages${tls ? " under TLS" : ""}`,
    run: ({ subject }) =>
      withServer(subject, { tls }, async (server) => {
        const certificates = server.options.tls;
        const argv = [await peer("clientv3-suite"), "-endpoint", server.clientUrl];
        if (certificates !== undefined) {
          argv.push(
            "-cacert",
            certificates.ca,
            "-cert",
            certificates.clientCert,
            "-key",
            certificates.clientKey,
          );
        }
        const result = await runCommand(argv, { timeoutMs: 170_000 });
        const failures = result.stdout.split("\n").filter((line) => line.startsWith("FAILED"));
        check(
          result.code === 0,
          failures.length > 0 ? failures.join("\n") : tail(result.stdout + result.stderr),
        );
        console.log(`        ${tail(result.stdout, 1)}`);
      }),
  };
}

export const clientCases: readonly Case[] = [suite(false), suite(true)];
