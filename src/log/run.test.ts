// Goal: values go to runs while the disk works beside, and what the disk refuses is told to who drains or finishes; nothing is left of
// runs that are thrown away. Method: the simulated disk, with and without room.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileNumber } from "../mvcc/contract.ts";
import { nodeDigest } from "../node/digest.ts";
import { SimDisk } from "../sim/disk.ts";
import { dice } from "../sim/log-model.ts";
import { filePath } from "./paths.ts";
import { RunWriter } from "./run.ts";

const directory = "/data";
const VALUE_BYTES = 10_000;

async function start(capacityBytes: number): Promise<{ disk: SimDisk; writer: RunWriter }> {
  const disk = new SimDisk({ random: dice(3), capacityBytes });
  await disk.makeDirectory(directory);
  let number = 0;
  const nextNumber = (): FileNumber => ++number as FileNumber;
  return {
    disk,
    writer: new RunWriter({ directory, disk, digest: nodeDigest(), runBytesMax: 1 << 20, nextNumber }),
  };
}

function valueAt(n: number): Uint8Array {
  return new Uint8Array(VALUE_BYTES).fill(n % 251);
}

test("values that are added while earlier ones are being written stand where they were said to", async () => {
  const { disk, writer } = await start(Number.POSITIVE_INFINITY);
  const places = [];
  for (let n = 0; n < 500; n++) {
    places.push(writer.add(valueAt(n)));
    if (writer.full) await writer.drain();
  }
  const files = await writer.finish();
  assert.deepEqual(
    files.map(({ number }) => number),
    [1, 2, 3, 4, 5],
  );
  for (const [n, { file, offset }] of places.entries()) {
    const found = disk.bytesOf(filePath(directory, file, "run")).subarray(offset, offset + VALUE_BYTES);
    assert.deepEqual(found, valueAt(n), `value ${n}`);
  }
});

test("a device that runs full is told, and no run is left", async () => {
  const { disk, writer } = await start(3 << 20);
  const add = async (): Promise<void> => {
    for (let n = 0; n < 500; n++) {
      writer.add(valueAt(n));
      if (writer.full) await writer.drain();
    }
    await writer.finish();
  };
  await assert.rejects(add(), { code: "ENOSPC" });
  await writer.discard();
  assert.deepEqual(await disk.list(directory), []);
});
