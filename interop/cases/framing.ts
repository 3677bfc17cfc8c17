// h2spec against the client port of the server under test, plain and under TLS: every case must pass.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, equal, withServer } from "../lib/case.ts";
import { runCommand, tail } from "../lib/command.ts";
import { peer } from "../peers.ts";

/** The titles of failed cases, with the section that they stand under. */
function failuresOf(report: string): string[] {
  const failed: string[] = [];
  for (const block of report.matchAll(
    /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g,
  )) {
    if (block[3]!.includes("<failure") || block[3]!.includes("<error"))
      failed.push(`${block[1]}: ${block[2]}`);
  }
  return failed;
}

/** Without a limit h2spec cannot try to pass it. */
const LIMITED = ["--max-concurrent-streams", "100"];
/** h2spec has no certificate to show; the last of two flags counts. */
const NO_CLIENT_CERTIFICATE = ["--trusted-ca-file", "", "--client-cert-auth=false"];

export const framingCases: readonly Case[] = [false, true].map((tls) => ({
  name: `h2spec${tls ? " under TLS" : ""}: generic, http2 and hpack cases pass on the client port`,
  limitMs: 600_000,
  run: ({ subject }) =>
    withServer(
      subject,
      { tls, extra: tls ? [...LIMITED, ...NO_CLIENT_CERTIFICATE] : LIMITED },
      async (server, dir) => {
        const report = join(dir, "h2spec.xml");
        const argv = [
          await peer("h2spec"),
          "-h",
          "127.0.0.1",
          "-p",
          `${server.clientPort}`,
          "-o",
          "2",
          "-j",
          report,
          ...(tls ? ["-t", "-k"] : []),
        ];
        const result = await runCommand([...argv, "generic", "http2", "hpack"], { timeoutMs: 500_000 });
        const summary = /\d+ tests, \d+ passed, \d+ skipped, \d+ failed/.exec(result.stdout);
        check(summary !== null, tail(result.stdout + result.stderr));
        console.log(`        ${summary![0]}`);
        equal(failuresOf(readFileSync(report, "utf8")), [], "failed cases");
        equal(await server.httpStatus("/health"), 200, "health after all of it");
      },
    ),
}));
