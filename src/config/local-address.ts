// The address that a member calls the others from when the gate SetMemberLocalAddr is on, so that it calls from where it is known to be (their
// certificate check looks at that). Pure; called where the peers' settings are made, and for the startup line.
import { BlockList, isIP } from "node:net";
import type { Config } from "./config.ts";

/** Loopback and unspecified ones: no other machine knows a member by them. */
const UNSUITABLE = new BlockList();
UNSUITABLE.addSubnet("127.0.0.0", 8);
UNSUITABLE.addAddress("0.0.0.0");
UNSUITABLE.addAddress("::1", "ipv6");
UNSUITABLE.addAddress("::", "ipv6");

/** The first suitable address of --initial-advertise-peer-urls. Undefined: the system chooses. */
export function memberLocalAddress(
  config: Pick<Config, "featureGates" | "advertisePeerUrls">,
): string | undefined {
  if (!config.featureGates.enabled("SetMemberLocalAddr")) return undefined;
  return config.advertisePeerUrls.map((url) => url.hostname).find(isSuitable);
}

function isSuitable(host: string): boolean {
  const family = isIP(host);
  return family > 0 && !UNSUITABLE.check(host, family === 4 ? "ipv4" : "ipv6");
}
