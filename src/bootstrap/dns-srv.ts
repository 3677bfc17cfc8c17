// The members that DNS SRV records name (--discovery-srv): `_etcd-server-ssl._tcp` for https, `_etcd-server._tcp` for http. The record
// that means this member's own advertised URL gets its name, the others get numbers, exactly as etcd gives them.

import { errorText } from "../base/error-text.ts";
import { joinHostPort } from "../base/host-port.ts";
import { type EndpointUrl, urlTexts } from "../config/urls.ts";
import { byteOrder } from "../node/metrics-format.ts";
import type { Logger } from "../ports/logger.ts";

export type SrvRecord = {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
};

export type SrvNames = {
  /** Records of `_service._tcp.domain`; rejects when there are none. */
  resolveSrv(name: string): Promise<readonly SrvRecord[]>;
  lookup(hostname: string): Promise<string>;
};

export type SrvQuestion = {
  readonly domain: string;
  /** --discovery-srv-name, "" = none. */
  readonly serviceName: string;
  readonly name: string;
  readonly advertisePeerUrls: readonly EndpointUrl[];
};

/** Pairs `name=url`, or why there are none. */
export type SrvAnswer = { readonly pairs: readonly string[]; readonly error: string };

export async function membersFromSrv(
  question: SrvQuestion,
  names: SrvNames,
  logger: Logger,
): Promise<SrvAnswer> {
  const suffix = question.serviceName === "" ? "" : `-${question.serviceName}`;
  const pairs: string[] = [];
  const errors: string[] = [];
  for (const [scheme, base] of [
    ["https", "etcd-server-ssl"],
    ["http", "etcd-server"],
  ] as const) {
    const service = `${base}${suffix}`;
    const answer = await ask(question, scheme, service, names);
    pairs.push(...answer.pairs);
    if (answer.error !== "") errors.push(answer.error);
    logger.info(`get cluster for ${base} SRV`, {
      "service-scheme": scheme,
      "service-name": service,
      "server-name": question.name,
      "discovery-srv": question.domain,
      "advertise-peer-urls": urlTexts(question.advertisePeerUrls),
      "found-cluster": pairs,
      ...(answer.error === "" ? {} : { error: answer.error }),
    });
  }
  return { pairs, error: errors.join("\n") };
}

async function ask(
  question: SrvQuestion,
  scheme: "http" | "https",
  service: string,
  names: SrvNames,
): Promise<SrvAnswer> {
  const own = new Map<string, EndpointUrl>();
  try {
    for (const url of question.advertisePeerUrls)
      own.set(`${await names.lookup(url.hostname)} ${url.port}`, url);
  } catch (error) {
    return { pairs: [], error: errorText(error) };
  }
  let problem = "";
  const pairs: string[] = [];
  let anonymous = 0;
  try {
    for (const record of sorted(await names.resolveSrv(`_${service}._tcp.${question.domain}`))) {
      const host = record.name.replace(/\.$/, "");
      let address: string;
      try {
        address = await names.lookup(host);
      } catch (error) {
        problem = errorText(error);
        continue;
      }
      const url = `${scheme}://${joinHostPort(host, record.port)}`;
      const mine = own.get(`${address} ${record.port}`);
      const name = mine === undefined ? String(anonymous++) : question.name;
      if (mine === undefined || mine.scheme === scheme) pairs.push(`${name}=${url}`);
      else
        problem = `bootstrap at ${url} from DNS for ${service} has scheme mismatch with expected peer ${mine.text}`;
    }
  } catch (error) {
    problem = errorText(error);
  }
  if (pairs.length > 0 || problem === "") return { pairs, error: "" };
  return { pairs: [], error: `error querying DNS SRV records for _${service} ${problem}` };
}

/** By priority, then weight: a steady order, where Go draws lots among equals. */
function sorted(records: readonly SrvRecord[]): SrvRecord[] {
  return [...records].sort(
    (a, b) => a.priority - b.priority || b.weight - a.weight || byteOrder(a.name, b.name) || a.port - b.port,
  );
}
