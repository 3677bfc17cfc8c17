// The gRPC server's metrics: one row of plain cells per method, initialised for every method and code as etcd does, so that an
// alert on a rate sees the first failure. The gRPC layer takes its row once per method and then only adds.
import { Code } from "../base/errors.ts";
import type { Counter, Histogram } from "../ports/metrics.ts";
import type { MetricsRegistry } from "./metrics.ts";
import { GRPC_HANDLING_SECONDS, GRPC_METRICS } from "./metrics-catalog.ts";

export type GrpcMethodMetrics = {
  readonly started: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  /** Indexed by status code, 0 to 16. */
  readonly handled: readonly Counter[];
  /** Seconds from start to status; only with --metrics extensive. */
  readonly seconds: Histogram | undefined;
};

type MethodType = "unary" | "server_stream" | "bidi_stream";

/** How the service zone names the kinds. */
type MethodKind = "unary" | "server-stream" | "bidi";

const METHOD_TYPES: Readonly<Record<MethodKind, MethodType>> = {
  unary: "unary",
  "server-stream": "server_stream",
  bidi: "bidi_stream",
};

const AUTH_METHODS =
  "AuthEnable AuthDisable AuthStatus Authenticate UserAdd UserGet UserList UserDelete UserChangePassword " +
  "UserGrantRole UserRevokeRole RoleAdd RoleGet RoleList RoleDelete RoleGrantPermission RoleRevokePermission";

/** The services that etcd's interceptor counts. Lock and Election are served too, but registered after the counting began. */
const SERVICES: readonly (readonly [
  service: string,
  unary: string,
  streams: Readonly<Record<string, MethodType>>,
])[] = [
  ["etcdserverpb.KV", "Range Put DeleteRange Txn Compact", { RangeStream: "server_stream" }],
  ["etcdserverpb.Watch", "", { Watch: "bidi_stream" }],
  [
    "etcdserverpb.Lease",
    "LeaseGrant LeaseRevoke LeaseTimeToLive LeaseLeases",
    { LeaseKeepAlive: "bidi_stream" },
  ],
  ["etcdserverpb.Cluster", "MemberAdd MemberRemove MemberUpdate MemberList MemberPromote", {}],
  [
    "etcdserverpb.Maintenance",
    "Alarm Status Defragment Hash HashKV MoveLeader Downgrade",
    { Snapshot: "server_stream" },
  ],
  ["etcdserverpb.Auth", AUTH_METHODS, {}],
  ["grpc.health.v1.Health", "Check List", { Watch: "server_stream" }],
];

/** Go's names of the status codes, by number. */
const CODE_NAMES: readonly string[] = Object.keys(Code);

export class GrpcMetrics {
  readonly #registry: MetricsRegistry;
  readonly #extensive: boolean;
  readonly #rows = new Map<string, GrpcMethodMetrics>();

  constructor(registry: MetricsRegistry, extensive: boolean) {
    this.#registry = registry;
    this.#extensive = extensive;
    registry.declare(GRPC_METRICS);
    if (extensive) registry.declare([GRPC_HANDLING_SECONDS]);
    for (const [service, unary, streams] of SERVICES) {
      for (const method of unary.split(" ")) if (method !== "") this.#add(service, method, "unary", true);
      for (const [method, type] of Object.entries(streams)) this.#add(service, method, type, true);
    }
  }

  /**
   * The row of `/service/Method`, in the form that the gRPC server asks for. One that etcd does not initialise (Lock, Election)
   * gets its series when it is first asked for, and its codes as they occur.
   */
  readonly method = (path: string, kind: MethodKind): GrpcMethodMetrics => {
    const known = this.#rows.get(path);
    if (known !== undefined) return known;
    const [, service = "", method = ""] = path.split("/");
    return this.#add(service, method, METHOD_TYPES[kind], false);
  };

  #add(service: string, method: string, type: MethodType, initialised: boolean): GrpcMethodMetrics {
    const labels = { grpc_type: type, grpc_service: service, grpc_method: method };
    const registry = this.#registry;
    const handled = CODE_NAMES.map((code): Counter => {
      const make = (): Counter =>
        registry.counter("grpc_server_handled_total", "", { ...labels, grpc_code: code });
      return initialised ? make() : lazy(make);
    });
    const row: GrpcMethodMetrics = {
      started: registry.counter("grpc_server_started_total", "", labels),
      received: registry.counter("grpc_server_msg_received_total", "", labels),
      sent: registry.counter("grpc_server_msg_sent_total", "", labels),
      handled,
      seconds: this.#extensive
        ? registry.histogram("grpc_server_handling_seconds", "", GRPC_HANDLING_SECONDS.buckets ?? [], labels)
        : undefined,
    };
    this.#rows.set(`/${service}/${method}`, row);
    return row;
  }
}

function lazy(make: () => Counter): Counter {
  let cell: Counter | undefined;
  return {
    add(n: number): void {
      cell ??= make();
      cell.add(n);
    },
  };
}
