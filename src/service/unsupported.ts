// Services that are still to come: they are known, so that clients get a clear text and not "unknown service". AuthStatus answers,
// because clients ask it first: authentication is off.
import { Code, etcdError } from "../base/errors.ts";
import { encodeAuthStatusResponse } from "../wire/generated/etcdserverpb.ts";
import type { Method } from "./call.ts";
import type { Headers } from "./headers.ts";
import { unary } from "./kv.ts";

const AUTH = [
  "AuthEnable",
  "AuthDisable",
  "Authenticate",
  "UserAdd",
  "UserGet",
  "UserList",
  "UserDelete",
  "UserChangePassword",
  "UserGrantRole",
  "UserRevokeRole",
  "RoleAdd",
  "RoleGet",
  "RoleList",
  "RoleDelete",
  "RoleGrantPermission",
  "RoleRevokePermission",
];
const LOCK = ["Lock", "Unlock"];
const ELECTION = ["Campaign", "Proclaim", "Leader", "Resign"];

export function unsupportedMethods(headers: Headers): [string, Method][] {
  return [
    ...AUTH.map((name) => refused(`/etcdserverpb.Auth/${name}`, "authentication")),
    ...LOCK.map((name) => refused(`/v3lockpb.Lock/${name}`, "the Lock service")),
    ...ELECTION.map((name) => refused(`/v3electionpb.Election/${name}`, "the Election service")),
    refused("/v3electionpb.Election/Observe", "the Election service", "server-stream"),
    [
      "/etcdserverpb.Auth/AuthStatus",
      unary((call) => {
        call.send(encodeAuthStatusResponse({ header: headers.current(), enabled: false, authRevision: 1 }));
        call.end();
      }),
    ],
  ];
}

function refused(path: string, what: string, kind: "unary" | "server-stream" = "unary"): [string, Method] {
  const error = etcdError(
    Code.Unimplemented,
    `etcdserver: ${what} is not supported by this version of Cairn`,
  );
  return [path, { kind, handle: (call) => call.fail(error) }];
}
