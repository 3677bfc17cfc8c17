// Every method that the client port serves, by its full path. What is not here is unknown to the server.
import type { Member } from "../member/member.ts";
import type { Method, MethodTable } from "./call.ts";
import { ClusterService } from "./cluster.ts";
import { answeringCorruption } from "./corruption.ts";
import { Gate } from "./gate.ts";
import { Headers } from "./headers.ts";
import type { HealthService } from "./health.ts";
import { KvService } from "./kv.ts";
import { LeaseService } from "./lease.ts";
import { MaintenanceService } from "./maintenance.ts";
import { unsupportedMethods } from "./unsupported.ts";
import { watchMethods } from "./watch.ts";

export function methodTable(member: Member, health: HealthService): MethodTable {
  const headers = new Headers(member);
  const methods: [string, Method][] = [
    ...new KvService(member, headers).methods(),
    ...watchMethods(member, headers),
    ...new LeaseService(member, headers).methods(),
    ...new ClusterService(member, headers).methods(),
    ...new MaintenanceService(member, headers).methods(),
    ...unsupportedMethods(headers),
  ];
  const gate = new Gate(member);
  return new Map<string, Method>([
    ...methods.map(([path, method]) => answeringCorruption(member, gate.guard(path, method))),
    ...health.methods().map(([path, method]) => gate.guard(path, method)),
  ]);
}
