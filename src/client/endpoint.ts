// Endpoints as etcd's clients write them (host:port, http://, https://, unix:path, unixs:path) → where to connect and whether
// TLS is asked for.

import { joinHostPort } from "../base/host-port.ts";
export type Endpoint = {
  /** As given. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
  /** Path of a unix socket, or "". */
  readonly path: string;
  /** The name a certificate is checked against. */
  readonly serverName: string;
  /** "required": https, unixs. "dropped": http. "optional": as the client is configured. */
  readonly tls: "required" | "dropped" | "optional";
};

export function parseEndpoint(text: string): Endpoint {
  const unix = /^(unixs?):(?:\/\/)?(.*)$/.exec(text);
  if (unix !== null) {
    const path = unix[2]!;
    const serverName = lastElement(path).replace(/:\d*$/, "");
    return { text, host: "", port: 0, path, serverName, tls: unix[1] === "unixs" ? "required" : "optional" };
  }
  const url = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/]*)/.exec(text);
  const scheme = url?.[1]?.toLowerCase() ?? "";
  const { host, port } = splitHostPort(url === null ? text : url[2]!);
  const tls = scheme === "https" ? "required" : scheme === "http" ? "dropped" : "optional";
  return { text, host, port, path: "", serverName: host, tls };
}

function splitHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text);
  if (match !== null) return { host: match[1] ?? match[2]!, port: Number(match[3]) };
  return { host: text.replace(/^\[|\]$/g, ""), port: 443 };
}

/** The part of an endpoint that names it in targets and as authority: without its scheme. */
export function authority(text: string): string {
  const parts = text.split("://");
  if (parts.length > 1) return parts.slice(1).join("://");
  return text.replace(/^unixs?:/, "");
}

/** What calls name as :authority: the address, or the last element of a unix socket's path. */
export function authorityOf({ text, path }: Endpoint): string {
  return path === "" ? authority(text) : lastElement(path);
}

function lastElement(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** How Go writes the address in "dial tcp …". */
export function dialAddress(endpoint: Endpoint): string {
  if (endpoint.path !== "") return `dial unix ${endpoint.path}`;
  return `dial tcp ${joinHostPort(endpoint.host, endpoint.port)}`;
}
