// Goal: SRV records become the pairs that etcd makes of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseUrls } from "../config/urls.ts";
import { silentLogger } from "../ports/logger.ts";
import { membersFromSrv, type SrvNames, type SrvRecord } from "./dns-srv.ts";

const ADDRESSES: Record<string, string> = {
  "a.example": "10.0.0.1",
  "b.example": "10.0.0.2",
  "10.0.0.1": "10.0.0.1",
};

function names(records: Record<string, SrvRecord[]>): SrvNames {
  return {
    resolveSrv: async (name) => records[name] ?? Promise.reject(new Error(`no records of ${name}`)),
    lookup: async (hostname) => ADDRESSES[hostname] ?? Promise.reject(new Error(`no such host ${hostname}`)),
  };
}

const RECORD = (name: string): SrvRecord => ({ name, port: 2380, priority: 0, weight: 0 });

function ask(records: Record<string, SrvRecord[]>, own = "http://10.0.0.1:2380", serviceName = "") {
  const advertised = parseUrls([own]);
  assert(advertised.ok);
  const question = { domain: "x.example", serviceName, name: "me", advertisePeerUrls: advertised.value };
  return membersFromSrv(question, names(records), silentLogger);
}

test("the record that means the own URL gets the own name, the others get numbers", async () => {
  const answer = await ask({ "_etcd-server._tcp.x.example": [RECORD("a.example."), RECORD("b.example.")] });
  assert.deepEqual(answer.pairs, ["me=http://a.example:2380", "0=http://b.example:2380"]);
});

test("the suffix of the service's name is part of the question", async () => {
  const answer = await ask(
    { "_etcd-server-ssl-blue._tcp.x.example": [RECORD("b.example")] },
    undefined,
    "blue",
  );
  assert.deepEqual(answer.pairs, ["0=https://b.example:2380"]);
});

test("a record of the own address under the other scheme is an error, and no member", async () => {
  const answer = await ask({ "_etcd-server-ssl._tcp.x.example": [RECORD("a.example")] });
  assert.deepEqual(answer.pairs, []);
  assert.match(
    answer.error,
    /^error querying DNS SRV records for _etcd-server-ssl bootstrap at https:\/\/a.example:2380 from DNS for etcd-server-ssl has scheme mismatch with expected peer http:\/\/10.0.0.1:2380\n/,
  );
});

test("without records the error names both services", async () => {
  const { pairs, error } = await ask({});
  assert.deepEqual(pairs, []);
  assert.match(error, /for _etcd-server-ssl .*\n.*for _etcd-server no records/);
});
