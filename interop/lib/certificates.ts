// A certificate authority and its leaves for one run, made by our own small Go program, so no openssl is needed.
// TLS cases and TLS workloads use it. Its keys are for loopback alone and vanish with the run directory.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { peer } from "../peers.ts";
import { mustRun } from "./command.ts";

export interface Certificates {
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** An RSA pair, for the service account tokens of kube-apiserver. */
  readonly accountKey: string;
  readonly accountPublicKey: string;
}

/** Puts other certificates in their place, file by file, as tools that rotate them do: written beside and renamed. */
export function replaceFiles(from: Partial<Certificates>, to: Certificates): void {
  for (const name of Object.keys(from) as (keyof Certificates)[])
    replaceFile(to[name], readFileSync(from[name]!));
}

export function replaceFile(path: string, content: string | Buffer): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** `intermediate`: the authority is signed by another one, whose certificate nobody gets. */
export async function makeCertificates(dir: string, intermediate = false): Promise<Certificates> {
  const flags = intermediate ? ["-intermediate"] : [];
  await mustRun([await peer("certificates"), ...flags, dir]);
  return {
    ca: join(dir, "ca.crt"),
    serverCert: join(dir, "server.crt"),
    serverKey: join(dir, "server.key"),
    clientCert: join(dir, "client.crt"),
    clientKey: join(dir, "client.key"),
    accountKey: join(dir, "account.key"),
    accountPublicKey: join(dir, "account.pub"),
  };
}
