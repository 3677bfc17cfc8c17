// /health, /livez and /readyz with etcd's parameters, bodies, log lines and metrics. Probes hang on every word of them: kubelet,
// load balancers, etcd operators.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { EtcdError } from "../base/errors.ts";
import { allowGet, type Handler, sendError, sendText } from "../node/http-reply.ts";
import type { Logger } from "../ports/logger.ts";
import type { Counter, Metrics } from "../ports/metrics.ts";
import type { HealthSource } from "./health-source.ts";

export type HealthOptions = {
  readonly source: HealthSource;
  readonly logger: Logger;
  readonly metrics: Metrics;
};

type CheckType = "livez" | "readyz";
type Check = {
  readonly name: string;
  /** `done` gets the reason for the failure, or undefined. */
  run(source: HealthSource, done: (problem: string | undefined) => void): void;
};

const SERIALIZABLE_READ = readCheck("serializable_read", true);

const CHECKS: Readonly<Record<CheckType, readonly Check[]>> = {
  livez: [SERIALIZABLE_READ],
  readyz: [
    {
      name: "data_corruption",
      run: (source, done) => {
        const corrupt = source.alarms().some((alarm) => alarm.name === "CORRUPT");
        done(corrupt ? "alarm activated: CORRUPT" : undefined);
      },
    },
    SERIALIZABLE_READ,
    readCheck("linearizable_read", false),
    {
      name: "non_learner",
      run: (source, done) => done(source.isLearner() ? "not supported for learner" : undefined),
    },
  ],
};

/** Not among etcd's checks: it shows only when it fails. */
const DEVICE_ROOM: Check = {
  name: "device_room",
  run: (_source, done) => done("no space left on the device of this member's log"),
};

function readCheck(name: string, serializable: boolean): Check {
  return { name, run: (source, done) => source.probe(serializable, (error) => done(error?.message)) };
}

/** Path → handler, for the client and the metrics listeners alike. */
export function healthHandlers(options: HealthOptions): Map<string, Handler> {
  const handlers = new Map<string, Handler>([["/health", healthHandler(options)]]);
  for (const type of ["livez", "readyz"] as const) {
    const checks = CHECKS[type];
    handlers.set(`/${type}`, checksHandler(options, type, `/${type}`, checks));
    for (const check of checks) {
      const path = `/${type}/${check.name}`;
      handlers.set(path, checksHandler(options, type, path, [check]));
    }
  }
  return handlers;
}

function healthHandler(options: HealthOptions): Handler {
  const { logger, metrics } = options;
  const success = metrics.counter(
    "etcd_server_health_success",
    "The total number of successful health checks",
  );
  const failures = metrics.counter("etcd_server_health_failures", "The total number of failed health checks");
  return (request, response, query) => {
    if (!allowGet(request, response)) {
      logger.warn("/health error", { "status-code": 405 });
      return;
    }
    const serializable = query.get("serializable") === "true";
    judge(options, querySet(query, "exclude"), serializable, (reason) => {
      finishHealth(response, reason, logger, success, failures);
    });
  };
}

function finishHealth(
  response: ServerResponse,
  reason: string,
  logger: Logger,
  success: Counter,
  failures: Counter,
): void {
  if (reason === "") {
    success.add(1);
    sendText(response, `{"health":"true","reason":""}`);
    logger.debug("/health OK", { "status-code": 200 });
    return;
  }
  failures.add(1);
  const output = `{"health":"false","reason":${goJson(reason)}}`;
  sendError(response, 503, output);
  logger.warn("/health error", { output, "status-code": 503 });
}

/** Alarms, then the leader, then a read: the first that fails is the reason; "" = healthy. */
function judge(
  options: HealthOptions,
  excluded: ReadonlySet<string>,
  serializable: boolean,
  done: (reason: string) => void,
): void {
  const { source, logger } = options;
  for (const alarm of source.alarms()) {
    const text = `memberID:${BigInt(`0x${alarm.memberId}`)}  alarm:${alarm.name}`;
    if (excluded.has(alarm.name)) {
      logger.debug("/health excluded alarm", { alarm: text });
      continue;
    }
    logger.warn("serving /health false due to an alarm", { alarm: text });
    const known = alarm.name === "NOSPACE" || alarm.name === "CORRUPT";
    done(`ALARM ${known ? alarm.name : "UNKNOWN"}`);
    return;
  }
  if (!serializable && !source.hasLeader()) {
    logger.warn("serving /health false; no leader");
    done("RAFT NO LEADER");
    return;
  }
  source.probe(serializable, (error: EtcdError | undefined) => {
    if (error === undefined) {
      logger.debug("serving /health true");
      done("");
      return;
    }
    logger.warn("serving /health false; Range fails", { error: error.message });
    done(`RANGE ERROR:${error.message}`);
  });
}

function checksHandler(
  options: HealthOptions,
  type: CheckType,
  path: string,
  checks: readonly Check[],
): Handler {
  const { logger } = options;
  const record = recorder(options.metrics, type);
  const root = path === `/${type}`;
  return (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => {
    if (!allowGet(request, response)) {
      logger.warn("Health request error", { path, "status-code": 405 });
      return;
    }
    const chosen = root ? withoutExcluded(checks, querySet(query, "exclude"), logger) : checks;
    const full = root && type === "readyz" && options.source.deviceFull();
    runChecks(options.source, full ? [...chosen, DEVICE_ROOM] : chosen, record, (reason, failed) => {
      if (failed) {
        sendError(response, 503, reason);
        logger.error("Health check error", { path, reason, "status-code": 503 });
        return;
      }
      response.setHeader("X-Content-Type-Options", "nosniff");
      sendText(response, `${query.has("verbose") ? reason : ""}ok\n`);
      logger.debug("Health check OK", { path, reason, "status-code": 200 });
    });
  };
}

type RecordResult = (name: string, ok: boolean) => void;

function recorder(metrics: Metrics, type: CheckType): RecordResult {
  return (name, ok) => {
    const result = "The result of each kind of healthcheck.";
    metrics.gauge("etcd_server_healthcheck", result, { type, name }).set(ok ? 1 : 0);
    const labels = { type, name, status: ok ? "success" : "error" };
    metrics
      .counter("etcd_server_healthchecks_total", "The total number of each kind of healthcheck.", labels)
      .add(1);
  };
}

/** One after the other, in the order of the list, which is also the order of the lines. */
function runChecks(
  source: HealthSource,
  checks: readonly Check[],
  record: RecordResult,
  done: (reason: string, failed: boolean) => void,
): void {
  let reason = "";
  let failed = false;
  const next = (at: number): void => {
    const check = checks[at];
    if (check === undefined) {
      done(reason, failed);
      return;
    }
    check.run(source, (problem) => {
      record(check.name, problem === undefined);
      failed ||= problem !== undefined;
      reason += problem === undefined ? `[+]${check.name} ok\n` : `[-]${check.name} failed: ${problem}\n`;
      next(at + 1);
    });
  };
  next(0);
}

/** Unknown names only earn a warning: a probe may be written for a newer etcd. */
function withoutExcluded(checks: readonly Check[], excluded: Set<string>, logger: Logger): readonly Check[] {
  const chosen = checks.filter((check) => !excluded.delete(check.name));
  if (excluded.size > 0) {
    const names = [...excluded].map((name) => JSON.stringify(name)).join(",");
    logger.warn("some health checks cannot be excluded", { "missing-health-checks": names });
  }
  return chosen;
}

function querySet(query: URLSearchParams, name: string): Set<string> {
  return new Set(query.getAll(name).filter((value) => value !== ""));
}

/** Go's encoding/json escapes what could be read as HTML. */
function goJson(text: string): string {
  return JSON.stringify(text).replace(/[<>&]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
}
