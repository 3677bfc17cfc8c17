// --discovery-srv: endpoints from DNS SRV records (_etcd-client-ssl._tcp, then _etcd-client._tcp).
import { resolveSrv } from "node:dns/promises";
import { Exit, fail } from "./environment.ts";

function recordName(service: string, name: string): string {
  return `_${name === "" ? service : `${service}-${name}`}._tcp`;
}

export async function discoverEndpoints(domain: string, name: string, insecure: boolean): Promise<string[]> {
  const endpoints: string[] = [];
  const errors: string[] = [];
  for (const [service, scheme] of [
    ["etcd-client-ssl", "https"],
    ["etcd-client", "http"],
  ] as const) {
    const record = `${recordName(service, name)}.${domain}`;
    try {
      for (const { name: host, port } of await resolveSrv(record)) {
        endpoints.push(`${scheme}://${host.replace(/\.$/, "")}:${port}`);
      }
    } catch {
      errors.push(
        `error querying DNS SRV records for ${recordName(service, name)} lookup ${record}: no such host`,
      );
    }
  }
  if (endpoints.length === 0) return fail(Exit.Error, errors.join(", "));
  if (insecure) return endpoints;
  return endpoints.filter((endpoint) => {
    const plain = endpoint.startsWith("http://");
    if (plain) process.stderr.write(`ignoring discovered insecure endpoint ${JSON.stringify(endpoint)}\n`);
    return !plain;
  });
}
