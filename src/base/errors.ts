// The one table of etcd's errors: name → gRPC code → exact text (rpctypes of etcd 3.7). Core returns these values, service and
// edge send them; nobody builds a text of etcd's anywhere else. They are frozen and carry no stack: building an Error costs
// 8–10 µs, returning one of these nothing.

export const Code = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** What an RPC answers when it fails. `code` is the gRPC status code, `message` the exact text. */
export type EtcdError = { readonly code: Code; readonly message: string };

/** An error outside the table, for texts that carry a value. Prefer the table. */
export function etcdError(code: Code, message: string): EtcdError {
  return Object.freeze({ code, message });
}

export function isEtcdError(value: unknown): value is EtcdError {
  return typeof value === "object" && value !== null && "code" in value && "message" in value;
}

const invalid = (text: string): EtcdError => etcdError(Code.InvalidArgument, `etcdserver: ${text}`);
const precondition = (text: string): EtcdError => etcdError(Code.FailedPrecondition, `etcdserver: ${text}`);
const unavailable = (text: string): EtcdError => etcdError(Code.Unavailable, `etcdserver: ${text}`);
const outOfRange = (text: string): EtcdError => etcdError(Code.OutOfRange, `etcdserver: ${text}`);
const notFound = (text: string): EtcdError => etcdError(Code.NotFound, `etcdserver: ${text}`);
const unknown = (text: string): EtcdError => etcdError(Code.Unknown, text);

export const errors = {
  emptyKey: invalid("key is not provided"),
  keyNotFound: invalid("key not found"),
  valueProvided: invalid("value is provided"),
  leaseProvided: invalid("lease is provided"),
  tooManyOps: invalid("too many operations in txn request"),
  duplicateKey: invalid("duplicate key given in txn request"),
  invalidClientApiVersion: invalid("invalid client api version"),
  invalidSortOption: invalid("invalid sort option"),
  memberBadUrls: invalid("given member URLs are invalid"),
  requestTooLarge: invalid("request is too large"),
  userEmpty: invalid("user name is empty"),
  roleEmpty: invalid("role name is empty"),
  authFailed: invalid("authentication failed, invalid user ID or password"),
  permissionNotGiven: invalid("permission not given"),
  invalidAuthManagement: invalid("invalid auth management"),
  authOldRevision: invalid("revision of auth store is old"),
  wrongDowngradeVersionFormat: invalid("wrong downgrade target version format"),
  invalidDowngradeTargetVersion: invalid("invalid downgrade target version"),

  compacted: outOfRange("mvcc: required revision has been compacted"),
  futureRevision: outOfRange("mvcc: required revision is a future revision"),
  leaseTtlTooLarge: outOfRange("too large lease TTL"),

  noSpace: etcdError(Code.ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
  /** etcd declares it ResourceExhausted and sends it as Unknown; clients match the text. */
  tooManyRequests: unknown("etcdserver: too many requests"),

  leaseNotFound: notFound("requested lease not found"),
  memberNotFound: notFound("member not found"),

  leaseExist: precondition("lease already exists"),
  memberExist: precondition("member ID already exist"),
  peerUrlExist: precondition("Peer URLs already exists"),
  /** Sent as Unknown, as etcd does. */
  memberNotEnoughStarted: unknown("etcdserver: re-configuration failed due to not enough started members"),
  memberNotLearner: precondition("can only promote a learner member"),
  learnerNotReady: precondition("can only promote a learner member which is in sync with leader"),
  tooManyLearners: precondition("too many learner members in cluster"),
  clusterIdMismatch: precondition("cluster ID mismatch"),
  rootUserNotExist: precondition("root user does not exist"),
  rootRoleNotExist: precondition("root user does not have root role"),
  userAlreadyExist: precondition("user name already exists"),
  userNotFound: precondition("user name not found"),
  roleAlreadyExist: precondition("role name already exists"),
  roleNotFound: precondition("role name not found"),
  roleNotGranted: precondition("role is not granted to the user"),
  permissionNotGranted: precondition("permission is not granted to the role"),
  authNotEnabled: precondition("authentication is not enabled"),
  notLeader: precondition("not leader"),
  notCapable: precondition("not capable"),
  notSupportedForLearner: precondition("rpc not supported for learner"),
  badLeaderTransferee: precondition("bad leader transferee"),
  clusterVersionUnavailable: precondition("cluster version not found during downgrade"),
  downgradeInProcess: precondition("cluster has a downgrade job in progress"),
  noInflightDowngrade: precondition("no inflight downgrade job"),

  permissionDenied: etcdError(Code.PermissionDenied, "etcdserver: permission denied"),
  invalidAuthToken: etcdError(Code.Unauthenticated, "etcdserver: invalid auth token"),

  noLeader: unavailable("no leader"),
  leaderChanged: unavailable("leader changed"),
  stopped: unavailable("server stopped"),
  timeout: unavailable("request timed out"),
  timeoutDueToLeaderFail: unavailable("request timed out, possibly due to previous leader failure"),
  timeoutDueToConnectionLost: unavailable("request timed out, possibly due to connection lost"),
  timeoutLeaderTransfer: etcdError(
    Code.Unknown,
    "etcdserver: request timed out, leader transfer took too long",
  ),
  timeoutWaitAppliedIndex: unavailable("request timed out, waiting for the applied index took too long"),
  unhealthy: unavailable("unhealthy cluster"),

  corrupt: etcdError(Code.DataLoss, "etcdserver: corrupt cluster"),
  watchCanceled: etcdError(Code.Canceled, "etcdserver: watch canceled"),
  requestCanceled: etcdError(Code.Canceled, "etcdserver: request canceled"),
  canceled: etcdError(Code.Canceled, "context canceled"),
  deadlineExceeded: etcdError(Code.DeadlineExceeded, "context deadline exceeded"),

  /** Outside etcd's map from errors to codes, hence Unknown with the plain text. */
  notPrimary: unknown("not a primary lessor"),

  rangeStreamSort: etcdError(Code.Unimplemented, "RangeStream does not support custom sort orders"),
  rangeStreamRevisionFilter: etcdError(Code.Unimplemented, "RangeStream does not support revision filters"),
  unknownService: etcdError(Code.NotFound, "unknown service"),
} as const satisfies Record<string, EtcdError>;
