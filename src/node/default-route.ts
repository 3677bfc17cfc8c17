// The machine's own address on its default route, as Linux tells it; elsewhere that is a problem said in etcd's words. Asked once per
// start, by src/config, for the address to advertise.
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";

export type DefaultHost = { readonly host: string } | { readonly problem: string };

/** The first address of the interface that /proc/net/route names for the default route. */
export function findDefaultHost(): DefaultHost {
  let routes: string;
  try {
    routes = readFileSync("/proc/net/route", "latin1");
  } catch {
    return { problem: "default host not supported on this platform" };
  }
  const row = routes.split("\n").find((line) => line.split("\t")[1] === "00000000");
  const device = row?.split("\t")[0];
  if (device === undefined) return { problem: "could not find default route" };
  const addresses = networkInterfaces()[device] ?? [];
  const address = addresses.find((one) => one.family === "IPv4") ?? addresses[0];
  return address === undefined ? { problem: "could not find default interface" } : { host: address.address };
}
