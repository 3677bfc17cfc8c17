// URLs as etcd reads them: Go's url.Parse as far as a listener's address needs it, lists that are sorted and free of doubles, and
// the `name=url` pairs of --initial-cluster. Pure text; every refusal is etcd's own sentence.
import { isIP } from "node:net";
import { byteOrder } from "../node/metrics-format.ts";
import { type Parsed, parsed, quote, unparsed } from "./go-values.ts";

export type UrlScheme = "http" | "https" | "unix" | "unixs";

export type EndpointUrl = {
  readonly scheme: UrlScheme;
  /** As given: `127.0.0.1:2379`, `[::1]:2379`; for unix sockets the first part of the path. */
  readonly host: string;
  /** Without brackets. */
  readonly hostname: string;
  /** As text, "" when absent. */
  readonly port: string;
  readonly path: string;
  /** The URL as Go prints it. */
  readonly text: string;
};

export function isSecure(url: EndpointUrl): boolean {
  return url.scheme === "https" || url.scheme === "unixs";
}

export function isUnix(url: EndpointUrl): boolean {
  return url.scheme === "unix" || url.scheme === "unixs";
}

/** As they were given. */
export function urlTexts(urls: readonly EndpointUrl[]): string[] {
  return urls.map((url) => url.text);
}

/** What to bind or dial: the path of a unix socket, or host:port. */
export function urlAddress(url: EndpointUrl): string {
  return isUnix(url) ? url.host + url.path : url.host;
}

/** types.NewURLs of one element, after trimming. */
export function parseUrl(given: string): Parsed<EndpointUrl> {
  const input = given.trim();
  const split = splitUrl(input);
  if (!split.ok) return unparsed(`parse ${quote(input)}: ${split.error}`);
  const { scheme, host, path, tail } = split.value;
  if (scheme !== "http" && scheme !== "https" && scheme !== "unix" && scheme !== "unixs") {
    return unparsed(`URL scheme must be http, https, unix, or unixs: ${input}`);
  }
  if (scheme === "http" || scheme === "https") {
    if (splitHostPort(host) === undefined)
      return unparsed(`URL address does not have the form "host:port": ${input}`);
    if (path !== "") return unparsed(`URL must not contain a path: ${input}`);
  }
  const parts = splitHostPort(host) ?? { hostname: host, port: "" };
  const slashes = host !== "" || input.includes("://") ? "//" : "";
  return parsed({ scheme, host, ...parts, path, text: `${scheme}:${slashes}${host}${path}${tail}` });
}

type SplitUrl = { scheme: string; host: string; path: string; tail: string };

function splitUrl(input: string): Parsed<SplitUrl> {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are what Go refuses
  if (/[\u0000-\u001f\u007f]/.test(input)) return unparsed("net/url: invalid control character in URL");
  if (input.startsWith(":")) return unparsed("missing protocol scheme");
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(input)?.[1];
  const rest = scheme === undefined ? input : input.slice(scheme.length + 1);
  if (scheme === undefined && /^[^/]*:/.test(input)) {
    return unparsed("first path segment in URL cannot contain colon");
  }
  const [, address = "", tail = ""] = /^([^?#]*)(.*)$/.exec(rest) ?? [];
  if (!address.startsWith("//"))
    return parsed({ scheme: (scheme ?? "").toLowerCase(), host: "", path: address, tail });
  const slash = address.indexOf("/", 2);
  const authority = slash < 0 ? address.slice(2) : address.slice(2, slash);
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  const problem = hostProblem(host);
  if (problem !== undefined) return unparsed(problem);
  return parsed({
    scheme: (scheme ?? "").toLowerCase(),
    host,
    path: slash < 0 ? "" : address.slice(slash),
    tail,
  });
}

function hostProblem(host: string): string | undefined {
  if (host.startsWith("[") && !host.includes("]")) return "missing ']' in host";
  const port = host.startsWith("[") ? host.slice(host.lastIndexOf("]") + 1) : /:.*$/.exec(host)?.[0];
  if (port !== undefined && port !== "" && !/^:\d*$/.test(port))
    return `invalid port ${quote(port)} after host`;
  return host.includes(" ") ? `invalid character " " in host name` : undefined;
}

/** net.SplitHostPort, or undefined where it fails. */
export function splitHostPort(host: string): { hostname: string; port: string } | undefined {
  const match = /^\[([^[\]]*)\]:([^:]*)$/.exec(host) ?? /^([^:[\]]*):([^:[\]]*)$/.exec(host);
  return match === null ? undefined : { hostname: match[1]!, port: match[2]! };
}

/** types.NewURLs: each checked, the list sorted by its text. */
export function parseUrls(list: readonly string[]): Parsed<EndpointUrl[]> {
  const urls: EndpointUrl[] = [];
  for (const one of list) {
    const url = parseUrl(one);
    if (!url.ok) return url;
    urls.push(url.value);
  }
  return parsed(urls.sort((a, b) => byteOrder(a.text, b.text)));
}

export function withoutDoubles(urls: readonly EndpointUrl[]): EndpointUrl[] {
  return urls.filter((url, i) => i === 0 || urls[i - 1]!.text !== url.text);
}

/** The value of --initial-cluster: name → URLs, both as given. An empty list gives an empty map. */
export function parseInitialCluster(text: string): Parsed<Map<string, EndpointUrl[]>> {
  const given = new Map<string, string[]>();
  for (const pair of text.split(",")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    const name = at < 0 ? pair : pair.slice(0, at);
    given.set(name, [...(given.get(name) ?? []), at < 0 ? "" : pair.slice(at + 1)]);
  }
  const members = new Map<string, EndpointUrl[]>();
  for (const [name, list] of given) {
    const urls = parseUrls(list);
    if (!urls.ok) return urls;
    members.set(name, urls.value);
  }
  return parsed(members);
}

/** types.URLsMap.String: sorted pairs. */
export function formatInitialCluster(members: ReadonlyMap<string, readonly EndpointUrl[]>): string {
  const pairs: string[] = [];
  for (const [name, urls] of members) for (const url of urls) pairs.push(`${name}=${url.text}`);
  return pairs.sort(byteOrder).join(",");
}

/** A listener binds an address, not a name: only localhost is looked up. */
export function bindProblem(urls: readonly EndpointUrl[]): string | undefined {
  for (const url of urls) {
    if (isUnix(url) || url.hostname === "localhost") continue;
    if (isIP(url.hostname) === 0 || url.hostname.includes("%")) {
      return `expected IP in URL for binding (${url.text})`;
    }
  }
  return undefined;
}

export function hostUrlProblem(urls: readonly EndpointUrl[]): string | undefined {
  for (const url of urls) {
    if (!isUnix(url) && url.hostname === "") return `unexpected empty host (${url.text})`;
  }
  return undefined;
}
