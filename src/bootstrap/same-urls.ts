// Whether two lists of peer URLs mean the same addresses, as etcd's netutil judges: equal as text, or after looking up the names. Names
// are looked up again each second for half a minute, because a member's DNS record often comes up later than the member.

import { errorText } from "../base/error-text.ts";
import { joinHostPort } from "../base/host-port.ts";
import { quote } from "../config/go-values.ts";
import { type EndpointUrl, isUnix } from "../config/urls.ts";
import { byteOrder } from "../node/metrics-format.ts";
import type { Logger } from "../ports/logger.ts";

const RETRY_MILLIS = 1000;
const ATTEMPTS_MAX = 30;

/** What looking up names takes; a test has its own. */
export type Names = {
  /** The first address of a name; rejects when there is none. */
  lookup(hostname: string): Promise<string>;
  wait(millis: number): Promise<void>;
  readonly logger: Logger;
};

/** Undefined when they are the same, else how they differ, in etcd's words. Both lists ascend. */
export async function urlsDiffer(
  a: readonly EndpointUrl[],
  b: readonly EndpointUrl[],
  names: Names,
): Promise<string | undefined> {
  if (a.length !== b.length) return `len(${quoted(a)}) != len(${quoted(b)})`;
  if (a.every((url, i) => url.text === b[i]!.text)) return undefined;
  const resolved: string[][] = [];
  for (const list of [a, b]) {
    const texts: string[] = [];
    for (const url of list) {
      const text = await resolve(url, names);
      if (text.problem !== undefined) return text.problem;
      texts.push(text.url);
    }
    resolved.push(texts.sort(byteOrder));
  }
  const [left, right] = resolved as [string[], string[]];
  const at = left.findIndex((text, i) => text !== right[i]);
  return at < 0 ? undefined : `resolved urls: ${quote(left[at]!)} != ${quote(right[at]!)}`;
}

type Resolved = { readonly url: string; readonly problem?: undefined } | { readonly problem: string };

async function resolve(url: EndpointUrl, names: Names): Promise<Resolved> {
  if (isUnix(url) || url.hostname === "localhost") return { url: url.text };
  for (let attempt = 1; ; attempt++) {
    try {
      const address = await names.lookup(url.hostname);
      return { url: `${url.scheme}://${joinHostPort(address, url.port)}` };
    } catch (error) {
      const text = errorText(error);
      const fields = { url: url.text, host: url.host, "retry-interval": "1s", error: text };
      if (attempt === ATTEMPTS_MAX) {
        names.logger.warn("failed to resolve URL Host; returning", fields);
        return { problem: `failed to resolve ${quote(url.text)} (${text})` };
      }
      names.logger.warn("failed to resolve URL Host", fields);
      await names.wait(RETRY_MILLIS);
    }
  }
}

function quoted(urls: readonly EndpointUrl[]): string {
  return `[${urls.map(({ text }) => quote(text)).join(" ")}]`;
}
