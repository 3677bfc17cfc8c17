// What to do with a request, found out from its head alone: which method, which timeout, or which refusal. Kept in head.route,
// so that a repeated header block costs one look. Made by planRequest for the server; texts and order of checks are grpc-go's
// (http2_server.go operateHeaders, server.go handleStream).
import { Code, type EtcdError, errors, etcdError } from "../base/errors.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { Counter } from "../ports/metrics.ts";
import type { Method, MethodTable } from "../service/call.ts";
import { type ClientRequests, type MethodStats, type MethodStatsSource, uncountedClients } from "./stats.ts";
import { quote, unknownMethod } from "./status.ts";
import { parseTimeout } from "./timeout.ts";

export class Route {
  readonly path: string;
  readonly method: Method;
  readonly bidi: boolean;
  readonly stats: MethodStats;
  constructor(path: string, method: Method, stats: MethodStats) {
    this.path = path;
    this.method = method;
    this.bidi = method.kind === "bidi";
    this.stats = stats;
  }
}

export type Routes = {
  readonly byPath: ReadonlyMap<string, Route>;
  readonly services: ReadonlySet<string>;
  readonly clientRequests: ClientRequests;
};

export function routesOf(
  table: MethodTable,
  stats: MethodStatsSource,
  clientRequests: ClientRequests = uncountedClients,
): Routes {
  const byPath = new Map<string, Route>();
  const services = new Set<string>();
  for (const [path, method] of table) {
    byPath.set(path, new Route(path, method, stats(path, method.kind)));
    services.add(path.slice(1, path.lastIndexOf("/")));
  }
  return { byPath, services, clientRequests };
}

export class Plan {
  /** Undefined: the request is refused. */
  readonly route: Route | undefined;
  /** Infinity without a timeout. */
  readonly timeoutMs: number;
  /** The only encoding that we take apart. */
  readonly gzip: boolean;
  /** How it is refused. */
  readonly error: EtcdError | undefined;
  readonly httpStatus: number;
  /** Not gRPC at all: for the plain HTTP handler, when there is one. */
  readonly plain: boolean;
  /** Requests of this kind from clients of this version: looked up here once, so that counting costs an addition. */
  readonly requests: Counter | undefined;
  constructor(
    route: Route | undefined,
    timeoutMs: number,
    gzip: boolean,
    error: EtcdError | undefined,
    httpStatus: number,
    plain: boolean,
    requests?: Counter,
  ) {
    this.route = route;
    this.timeoutMs = timeoutMs;
    this.gzip = gzip;
    this.error = error;
    this.httpStatus = httpStatus;
    this.plain = plain;
    this.requests = requests;
  }
}

function refuse(error: EtcdError, httpStatus: number): Plan {
  return new Plan(undefined, Number.POSITIVE_INFINITY, false, error, httpStatus, false);
}

/** application/grpc, alone or with a subtype or parameters. */
function isGrpc(contentType: string | undefined): boolean {
  if (contentType === "application/grpc") return true;
  if (contentType === undefined) return false;
  return /^application\/grpc([+;]|$)/.test(contentType.toLowerCase());
}

/** The place of the first character that base64 does not have, or -1. */
function badBase64(value: string): number {
  const bad = value.search(/[^A-Za-z0-9+/=]/);
  if (bad >= 0) return bad;
  const bare = value.replace(/={1,2}$/, "");
  if (bare.includes("=")) return bare.indexOf("=");
  if (bare.length % 4 === 1) return bare.length;
  return bare.length !== value.length && value.length % 4 !== 0 ? value.length : -1;
}

function badMetadata(head: RequestHead): EtcdError | undefined {
  for (const field of head.fields) {
    if (!field.name.endsWith("-bin")) continue;
    const bad = badBase64(field.value);
    if (bad < 0) continue;
    const reason = `illegal base64 data at input byte ${bad}`;
    return etcdError(
      Code.Internal,
      `malformed binary metadata ${quote(field.value)} in header ${quote(field.name)}: ${reason}`,
    );
  }
  return undefined;
}

export function planRequest(head: RequestHead, routes: Routes): Plan {
  if (!isGrpc(head.contentType)) {
    const error = etcdError(
      Code.InvalidArgument,
      `invalid gRPC request content-type ${quote(head.contentType ?? "")}`,
    );
    return new Plan(undefined, Number.POSITIVE_INFINITY, false, error, 415, true);
  }
  const timeout = head.timeout === undefined ? Number.POSITIVE_INFINITY : parseTimeout(head.timeout);
  if (typeof timeout !== "number") return refuse(timeout, 400);
  const metadata = badMetadata(head);
  if (metadata !== undefined) return refuse(metadata, 400);
  if (head.method !== "POST") {
    const text = `Received a HEADERS frame with :method ${quote(head.method)} which should be POST`;
    return refuse(etcdError(Code.Internal, text), 405);
  }
  const route = routes.byPath.get(head.path);
  if (route === undefined) return refuse(unknownMethod(head.path, routes.services), 200);
  const encoding = head.encoding;
  if (encoding !== undefined && encoding !== "" && encoding !== "identity" && encoding !== "gzip") {
    const text = `grpc: Decompressor is not installed for grpc-encoding ${quote(encoding)}`;
    return refuse(etcdError(Code.Unimplemented, text), 200);
  }
  const version = clientVersion(head);
  const gzip = encoding === "gzip";
  if (version === undefined) {
    return new Plan(refusing(route, errors.invalidClientApiVersion), timeout, gzip, undefined, 200, false);
  }
  const requests = routes.clientRequests(route.method.kind !== "unary", version);
  return new Plan(route, timeout, gzip, undefined, 200, false, requests);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What the client says of itself; undefined when that is not UTF-8. */
function clientVersion(head: RequestHead): string | undefined {
  const value = head.value("client-api-version");
  if (value === undefined) return "unknown";
  try {
    return utf8.decode(Buffer.from(value, "latin1"));
  } catch {
    return undefined;
  }
}

/** A method that is called and counted like the real one, and always answers with an error. */
function refusing(route: Route, error: EtcdError): Route {
  const nobody = { message(): void {}, requestsEnded(): void {} };
  const { kind } = route.method;
  const method: Method =
    kind === "bidi"
      ? {
          kind,
          open: (call) => {
            call.fail(error);
            return nobody;
          },
        }
      : { kind, handle: (call) => call.fail(error) };
  return new Route(route.path, method, route.stats);
}
