// Goal: a member opens, serves its own proposals, and after a restart is where it was. Method: the real disk in a temporary directory,
// the services called with calls that record what they are given.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeClock } from "../node/clock.ts";
import { nodeDigest } from "../node/digest.ts";
import { nodeDisk } from "../node/disk.ts";
import { nodeRandom } from "../node/random.ts";
import { silentLogger } from "../ports/logger.ts";
import type { MethodTable } from "../service/call.ts";
import { HealthService } from "../service/health.ts";
import { methodTable } from "../service/methods.ts";
import { SIM_MEMBER_OPTIONS } from "../sim/machine.ts";
import { RecordedCall } from "../sim/recorded-call.ts";
import {
  createPutRequest,
  createRangeRequest,
  decodePutResponse,
  decodeRangeResponse,
  encodePutRequest,
  encodeRangeRequest,
} from "../wire/generated/etcdserverpb.ts";
import type { Member } from "./member.ts";
import { openMember } from "./open.ts";
import type { MemberOptions } from "./options.ts";

const options = (dataDirectory: string): MemberOptions => ({
  ...SIM_MEMBER_OPTIONS,
  dataDirectory,
  quotaBytes: 2 ** 31,
});

async function withMember(
  directory: string,
  use: (member: Member, methods: MethodTable) => Promise<void>,
): Promise<void> {
  const member = await openMember(options(directory), {
    disk: nodeDisk(),
    clock: nodeClock(),
    digest: nodeDigest(),
    random: nodeRandom(),
    logger: silentLogger,
    lockDatabase: async () => ({ unlock: async () => {} }),
    onFatal: (error) => {
      throw error;
    },
  });
  await use(member, methodTable(member, new HealthService()));
  await member.close();
}

async function call(methods: MethodTable, path: string, message: Uint8Array): Promise<Uint8Array> {
  const recorded = new RecordedCall();
  const method = methods.get(path);
  assert.ok(method !== undefined && method.kind === "unary");
  method.handle(recorded, message);
  await recorded.ended;
  assert.equal(recorded.error, undefined);
  return recorded.messages[0]!;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

test("what was put is read, now and after a restart", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cairn-member-"));
  try {
    await withMember(directory, async (_member, methods) => {
      for (let n = 1; n <= 100; n++) {
        const put = { ...createPutRequest(), key: bytes(`key-${n % 10}`), value: bytes(`value-${n}`) };
        const response = decodePutResponse(
          await call(methods, "/etcdserverpb.KV/Put", encodePutRequest(put)),
        );
        assert.equal(response.header?.revision, n + 1);
      }
    });
    await withMember(directory, async (_member, methods) => {
      const range = { ...createRangeRequest(), key: bytes("key-"), rangeEnd: bytes("key.") };
      const response = decodeRangeResponse(
        await call(methods, "/etcdserverpb.KV/Range", encodeRangeRequest(range)),
      );
      assert.equal(response.header?.revision, 101);
      assert.equal(response.count, 10);
      assert.deepEqual(
        response.kvs.map(
          (kv) => `${Buffer.from(kv.key)}=${Buffer.from(kv.value)}@${kv.modRevision}/${kv.version}`,
        ),
        Array.from(
          { length: 10 },
          (_, n) => `key-${n}=value-${90 + (n === 0 ? 10 : n)}@${91 + (n === 0 ? 10 : n)}/10`,
        ),
      );
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
