// etcd's guess of the address to advertise: when it listens on 0.0.0.0 and advertises the default localhost, it advertises the
// machine's address on the default route instead; and a name alone renames the default member. Called by src/config/parse.
import { joinHostPort } from "../base/host-port.ts";
import type { DefaultHost } from "../node/default-route.ts";
import type { Fields } from "../ports/logger.ts";
import type { FlagValues } from "./flag-values.ts";
import { type EndpointUrl, parseUrls } from "./urls.ts";

const DEFAULT_PEER_URL = "http://localhost:2380";
const DEFAULT_CLIENT_URL = "http://localhost:2379";
const DEFAULT_CLUSTER = `default=${DEFAULT_PEER_URL}`;

/** Answers the line to log, if any. */
export function applyDefaultHost(
  values: FlagValues,
  find: () => DefaultHost,
): { message: string; fields: Fields } | undefined {
  const found = find();
  const host = "host" in found ? found.host : undefined;
  let used =
    host !== undefined &&
    advertise(values, "listen-peer-urls", "initial-advertise-peer-urls", DEFAULT_PEER_URL, host);
  if (values.text("name") !== "default" && values.text("initial-cluster") === DEFAULT_CLUSTER) {
    const name = values.text("name") || "default";
    const pairs = values.urls("initial-advertise-peer-urls").map((url) => `${name}=${url.text}`);
    values.put("initial-cluster", pairs.join(","));
  }
  if (host !== undefined) {
    const client = advertise(values, "listen-client-urls", "advertise-client-urls", DEFAULT_CLIENT_URL, host);
    used = client || used;
  }
  if (used) return { message: "detected default host for advertise", fields: { host } };
  return "problem" in found
    ? { message: "failed to detect default host", fields: { error: found.problem } }
    : undefined;
}

function advertise(
  values: FlagValues,
  listen: string,
  name: string,
  standard: string,
  host: string,
): boolean {
  const first: EndpointUrl | undefined = values.urls(listen)[0];
  const advertised = values.urls(name);
  if (first?.hostname !== "0.0.0.0" || advertised.length !== 1 || advertised[0]!.text !== standard)
    return false;
  const urls = parseUrls([`http://${joinHostPort(host, first.port)}`]);
  if (!urls.ok) return false;
  values.put(name, urls.value);
  return true;
}
