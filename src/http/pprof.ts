// /debug/pprof: the same paths as Go's, with what V8 has: CPU profiles (.cpuprofile) and sampled heap profiles (.heapprofile), both
// for Chrome's developer tools, VS Code or speedscope. Only with --enable-pprof or --log-level debug. One profile at a time.
import type { ServerResponse } from "node:http";
import { Session } from "node:inspector";
import { pipeline } from "node:stream";
import { getHeapSnapshot } from "node:v8";
import { type Handler, send, sendError, sendText } from "../node/http-reply.ts";

const SECONDS_DEFAULT = 30;
const SECONDS_MAX = 600;

const INDEX = `Profiles of this server. It runs on V8, not on Go: the files are for Chrome's developer tools, VS Code or speedscope.

/debug/pprof/profile?seconds=30   CPU profile over that time, a .cpuprofile file
/debug/pprof/heap?seconds=30      heap allocations sampled over that time, a .heapprofile file
/debug/pprof/heap?snapshot=true   the whole heap, a .heapsnapshot file. THE SERVER STANDS STILL while it is taken
/debug/pprof/cmdline              the command line, words separated by zero bytes

Go's goroutine, threadcreate, block, mutex, symbol and trace have no equivalent.
`;

/** Path → handler. */
export function pprofHandlers(args: readonly string[]): Map<string, Handler> {
  const profiler = new Profiler();
  const handlers = new Map<string, Handler>();
  handlers.set("/debug/pprof/", (request, response) => {
    // It also gets every path below that nobody else has.
    if (/^\/debug\/pprof\/($|\?)/.test(request.url ?? "")) sendText(response, INDEX);
    else sendError(response, 404, "Unknown profile");
  });
  handlers.set("/debug/pprof/cmdline", (_request, response) => {
    response.setHeader("X-Content-Type-Options", "nosniff");
    sendText(response, args.join("\u0000"));
  });
  handlers.set("/debug/pprof/profile", (_request, response, query) => {
    profiler.run(response, query, "cpuprofile", "Profiler.start", "Profiler.stop");
  });
  handlers.set("/debug/pprof/heap", (_request, response, query) => {
    if (query.get("snapshot") === "true") sendSnapshot(response);
    else {
      const [start, stop] = ["HeapProfiler.startSampling", "HeapProfiler.stopSampling"];
      profiler.run(response, query, "heapprofile", start, stop);
    }
  });
  for (const name of ["goroutine", "threadcreate", "block", "mutex", "symbol", "trace"]) {
    handlers.set(`/debug/pprof/${name}`, (_request, response) => {
      sendError(response, 501, `${name}: Go has this profile, V8 has none. See /debug/pprof/`);
    });
  }
  return handlers;
}

function sendSnapshot(response: ServerResponse): void {
  asFile(response, "heapsnapshot");
  pipeline(getHeapSnapshot(), response, () => {
    // A reader that goes away ends the pipeline; there is nobody left to tell.
  });
}

function asFile(response: ServerResponse, kind: string): void {
  response.setHeader("Content-Type", "application/octet-stream");
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Content-Disposition", `attachment; filename="etcd.${kind}"`);
}

class Profiler {
  #busy = false;

  run(response: ServerResponse, query: URLSearchParams, kind: string, start: string, stop: string): void {
    if (this.#busy) {
      sendError(response, 500, "Could not enable CPU profiling: cpu profiling already in use");
      return;
    }
    this.#busy = true;
    const asked = Number(query.get("seconds") ?? SECONDS_DEFAULT);
    const seconds = asked > 0 ? Math.min(asked, SECONDS_MAX) : SECONDS_DEFAULT;
    const session = new Session();
    session.connect();
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      session.disconnect();
      this.#busy = false;
    };
    session.post("Profiler.enable");
    session.post(start, () => {
      const timer = setTimeout(() => {
        session.post(stop, (error: Error | null, result?: object) => {
          end();
          sendProfile(response, kind, error, result);
        });
      }, seconds * 1000);
      // Also called after the answer, when there is nothing left to end.
      response.on("close", () => {
        clearTimeout(timer);
        end();
      });
    });
  }
}

function sendProfile(
  response: ServerResponse,
  kind: string,
  error: Error | null,
  result: object | undefined,
): void {
  if (error !== null || result === undefined || !("profile" in result)) {
    sendError(response, 500, `Could not take the profile: ${error?.message ?? "nothing came back"}`);
    return;
  }
  asFile(response, kind);
  send(response, 200, JSON.stringify(result.profile));
}
