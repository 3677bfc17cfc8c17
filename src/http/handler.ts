// The HTTP surface of a member: which path is answered on which listener, and the checks before it (host white list, CORS). main.ts
// makes one handler per kind of listener and gives it to src/http/server.
import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { gzip } from "node:zlib";
import { SERVER_VERSION } from "../base/version.ts";
import {
  allowGet,
  cleanPath,
  type Handler,
  send,
  sendError,
  sendJson,
  sendNotFound,
  sendRedirect,
} from "../node/http-reply.ts";
import type { MetricsRegistry } from "../node/metrics.ts";
import type { ProcessMetrics } from "../node/metrics-process.ts";
import { commonNameOf } from "../node/peer-certificate.ts";
import type { Logger } from "../ports/logger.ts";
import { debugVarsHandler } from "./debug-vars.ts";
import { healthHandlers } from "./health.ts";
import type { HealthSource } from "./health-source.ts";
import { pprofHandlers } from "./pprof.ts";

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

export type HttpOptions = {
  readonly source: HealthSource;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly processMetrics: ProcessMetrics | undefined;
  /** Empty or with "*" = every origin. */
  readonly corsOrigins: ReadonlySet<string>;
  /** Empty or with "*" = every host. Only plain HTTP is held to it. */
  readonly hostWhitelist: ReadonlySet<string>;
  readonly clientCertAuth: boolean;
  readonly enablePprof: boolean;
  readonly enableGrpcGateway: boolean;
  /** The JSON gateway, for /v3/; undefined while there is none. */
  readonly gateway: Handler | undefined;
  /** The command line, program first. */
  readonly args: readonly string[];
};

/** Everything, for --listen-client-urls and --listen-client-http-urls. */
export function createClientHandler(options: HttpOptions): RequestHandler {
  const handlers = healthHandlers(options);
  handlers.set("/metrics", metricsHandler(options));
  handlers.set("/version", versionHandler(options.source));
  handlers.set("/debug/vars", debugVarsHandler(options.source, options.args));
  if (options.enablePprof)
    for (const [path, handler] of pprofHandlers(options.args)) handlers.set(path, handler);
  const gateway = options.enableGrpcGateway ? (options.gateway ?? noGateway) : undefined;
  return (request, response) => {
    const url = splitTarget(request);
    if (url === undefined) return sendBadRequest(response);
    if (url.path.startsWith("/v3beta/")) url.path = `/v3/${url.path.slice("/v3beta/".length)}`;
    if (!admit(options, request, response, url.path)) return;
    if (gateway !== undefined && url.path.startsWith("/v3/")) gateway(request, response, url.query);
    else route(handlers, request, response, url);
  };
}

/** /metrics and the health paths alone, for --listen-metrics-urls: no white list, no CORS, as in etcd. */
export function createMetricsHandler(options: HttpOptions): RequestHandler {
  const handlers = healthHandlers(options);
  handlers.set("/metrics", metricsHandler(options));
  return (request, response) => {
    const url = splitTarget(request);
    if (url === undefined) sendBadRequest(response);
    else route(handlers, request, response, url);
  };
}

type Target = {
  path: string;
  readonly rawPath: string;
  readonly query: URLSearchParams;
  readonly rawQuery: string;
};

/** The decoded path and the query; undefined when an escape is broken. */
function splitTarget(request: IncomingMessage): Target | undefined {
  const target = (request.url ?? "/").replace(/^https?:\/\/[^/?#]*/i, "");
  const at = target.indexOf("?");
  const rawPath = (at < 0 ? target : target.slice(0, at)) || "/";
  const rawQuery = at < 0 ? "" : target.slice(at + 1);
  try {
    return { path: decodeURIComponent(rawPath), rawPath, query: new URLSearchParams(rawQuery), rawQuery };
  } catch {
    return undefined;
  }
}

function sendBadRequest(response: ServerResponse): void {
  response.setHeader("Connection", "close");
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  send(response, 400, "400 Bad Request");
}

function route(
  handlers: ReadonlyMap<string, Handler>,
  request: IncomingMessage,
  response: ServerResponse,
  url: Target,
): void {
  const clean = cleanPath(url.path);
  if (clean !== url.path && request.method !== "CONNECT") {
    sendRedirect(request, response, encodeURI(clean) + (url.rawQuery === "" ? "" : `?${url.rawQuery}`));
    return;
  }
  const handler =
    handlers.get(url.path) ??
    (url.path.startsWith("/debug/pprof/") ? handlers.get("/debug/pprof/") : undefined);
  if (handler === undefined) sendNotFound(response);
  else handler(request, response, url.query);
}

/** The checks before any path. False = answered already. */
function admit(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): boolean {
  const secure = request.socket instanceof TLSSocket;
  const host = hostname(request.headers.host ?? "");
  if (!secure && !allows(options.hostWhitelist, host)) {
    options.logger.warn("rejecting HTTP request to prevent DNS rebinding attacks", { host });
    sendError(response, 421, rebindingText(host));
    return false;
  }
  const guarded = options.clientCertAuth && options.enableGrpcGateway && path.startsWith("/v3/");
  if (secure && guarded && options.source.authEnabled() && commonName(request) !== "") {
    const ignored =
      "CommonName of client sending a request against gateway will be ignored and not used as expected";
    sendError(response, 400, ignored);
    return false;
  }
  const origin = request.headers.origin ?? "";
  if (allows(options.corsOrigins, "*")) addCors(response, "*");
  else if (allows(options.corsOrigins, origin)) addCors(response, origin);
  if (request.method !== "OPTIONS") return true;
  send(response, 200, "");
  return false;
}

function allows(list: ReadonlySet<string>, name: string): boolean {
  return list.size === 0 || list.has("*") || list.has(name);
}

function addCors(response: ServerResponse, origin: string): void {
  response.setHeader("Access-Control-Allow-Headers", "accept, content-type, authorization");
  response.setHeader("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE");
  response.setHeader("Access-Control-Allow-Origin", origin);
}

/** net.SplitHostPort's host, or all of it when it has no port. */
function hostname(host: string): string {
  return /^\[([^\]]*)\]:\d*$/.exec(host)?.[1] ?? /^([^:[\]]*):[^:]*$/.exec(host)?.[1] ?? host;
}

function commonName(request: IncomingMessage): string {
  if (!(request.socket instanceof TLSSocket)) return "";
  return commonNameOf(request.socket.getPeerCertificate().subject) ?? "";
}

function rebindingText(host: string): string {
  return `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(host)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).
`;
}

function versionHandler(source: HealthSource): Handler {
  return (request, response) => {
    if (!allowGet(request, response)) return;
    const versions = {
      etcdserver: SERVER_VERSION,
      etcdcluster: source.clusterVersion() ?? "not_decided",
      storage: source.storageVersion() ?? "unknown",
    };
    sendJson(response, 200, JSON.stringify(versions));
  };
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/** Any method, as in promhttp. Compressed when the scraper asks for it, in the thread pool. */
function metricsHandler(options: HttpOptions): Handler {
  return (request, response) => {
    options.processMetrics?.scrapeStarted();
    const text = options.metrics.text();
    options.processMetrics?.scrapeEnded();
    response.setHeader("Content-Type", METRICS_TYPE);
    if (!acceptsGzip(request)) {
      send(response, 200, text);
      return;
    }
    gzip(text, { level: 1 }, (error, compressed) => {
      if (error !== null) {
        sendError(response, 500, `An error has occurred while serving metrics:\n\n${error.message}`);
        return;
      }
      response.setHeader("Content-Encoding", "gzip");
      send(response, 200, compressed);
    });
  };
}

function acceptsGzip(request: IncomingMessage): boolean {
  const accepted = request.headers["accept-encoding"];
  return typeof accepted === "string" && /(^|,)\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*(,|$))|,|$)/.test(accepted);
}

/** gRPC code 12, as the gateway itself would say "unimplemented". */
const noGateway: Handler = (_request, response) => {
  const message = "the JSON gateway is not supported yet by this version of Cairn";
  sendJson(response, 501, `{"code":12,"message":"${message}"}`);
};
