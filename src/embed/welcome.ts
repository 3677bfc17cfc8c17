// The few lines that a person sees after the first start: where the server listens, what to try, where the data is. Called by
// main.ts once the server is ready. Only for people: never when standard output carries log lines, or when nobody reads it.
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import { CAIRN_VERSION, SERVER_VERSION } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import { type EndpointUrl, isSecure, isUnix } from "../config/urls.ts";
import { packageRoot } from "../node/package-root.ts";

export type Surroundings = {
  /** The script that was started: `…/bin/cairn`. */
  readonly program: string;
  readonly isTerminal: boolean;
  readonly npmScript: string | undefined;
};

/**
 * Someone reads: `npm start`, or cairn in a terminal, and no log goes the same way. Who starts us as `etcd` may be a tool, which takes every
 * line for one of the log's, even from a terminal.
 */
export function isForPerson(config: Config, { program, isTerminal, npmScript }: Surroundings): boolean {
  if (config.logging.outputs.includes("stdout")) return false;
  return npmScript === "start" || (isTerminal && basename(program) !== "etcd");
}

/** `directory`: from where the person's next commands are typed. */
export function welcomeText(config: Config, directory: string): string {
  const url = config.listenClientUrls[0];
  if (url === undefined) return "";
  const endpoint = reachable(url);
  const etcdctl = [command("etcdctl", directory), ...clientFlags(config, url, endpoint)].join(" ");
  const lines = [
    "",
    `Cairn ${CAIRN_VERSION} is ready and answers as etcd ${SERVER_VERSION} on ${endpoint}`,
    `Its data is in ${resolve(directory, config.dataDir)}`,
    "",
    "In another terminal, try",
    `  ${etcdctl} put greeting hello`,
    `  ${etcdctl} get greeting`,
    `  ${etcdctl} watch --prefix greet`,
    `  ${etcdctl} endpoint status -w table`,
  ];
  if (!isUnix(url) && !isSecure(url)) lines.push(`  curl ${endpoint}/metrics`);
  lines.push("", "Ctrl-C ends it. The same command goes on where it was.", "");
  return `${lines.join("\n")}\n`;
}

/** As a client on this machine says it: nobody can dial "any address". */
function reachable(url: EndpointUrl): string {
  if (isUnix(url)) return url.text;
  if (url.hostname === "0.0.0.0" || url.hostname === "") return `${url.scheme}://127.0.0.1:${url.port}`;
  return url.hostname === "::" ? `${url.scheme}://[::1]:${url.port}` : url.text;
}

/** What etcdctl must be told that it does not assume by itself. */
function clientFlags(config: Config, url: EndpointUrl, endpoint: string): string[] {
  const { clientTls } = config;
  const isDefault = !isUnix(url) && !isSecure(url) && /^(localhost|127\.0\.0\.1):2379$/.test(url.host);
  const flags = isDefault ? [] : [`--endpoints ${endpoint}`];
  if (!isSecure(url)) return flags;
  flags.push(clientTls.autoTls ? "--insecure-skip-tls-verify" : "--cacert CA_FILE");
  if (clientTls.clientCertAuth || clientTls.trustedCaFile !== "")
    flags.push("--cert CERT_FILE", "--key KEY_FILE");
  return flags;
}

/** One of our executables as it is typed in `directory`. */
function command(name: string, directory: string): string {
  const path = join(packageRoot(), "bin", name);
  const near = relative(directory, path);
  return near.startsWith("..") || isAbsolute(near) ? path : near;
}
