// /debug/vars in the form of Go's expvar: cmdline, file_descriptor_limit, memstats, raft.status. Memory figures carry Go's names
// where V8 has the same thing.
import type { IncomingMessage, ServerResponse } from "node:http";
import { getHeapStatistics } from "node:v8";
import { allowGet, type Handler, send } from "../node/http-reply.ts";
import { fileDescriptorLimit } from "../node/metrics-process.ts";
import type { HealthSource } from "./health-source.ts";

export function debugVarsHandler(source: HealthSource, args: readonly string[]): Handler {
  return (request: IncomingMessage, response: ServerResponse) => {
    if (!allowGet(request, response)) return;
    const vars = [
      `"cmdline": ${JSON.stringify(args)}`,
      `"file_descriptor_limit": ${fileDescriptorLimit()}`,
      `"memstats": ${JSON.stringify(memoryStatistics())}`,
      `"raft.status": ${source.raftStatus()}`,
    ];
    response.setHeader("Content-Type", "application/json; charset=utf-8");
    send(response, 200, `{\n${vars.join(",\n")}\n}\n`);
  };
}

function memoryStatistics(): Readonly<Record<string, number | boolean>> {
  const heap = getHeapStatistics();
  const memory = process.memoryUsage();
  return {
    Alloc: heap.used_heap_size,
    Sys: memory.rss,
    HeapAlloc: heap.used_heap_size,
    HeapSys: heap.total_heap_size,
    HeapIdle: Math.max(0, heap.total_heap_size - heap.total_physical_size),
    HeapInuse: heap.total_physical_size,
    OtherSys: memory.external,
    NextGC: heap.heap_size_limit,
    EnableGC: true,
    DebugGC: false,
  };
}
