// Hands out loopback ports that are free right now, from one range, so that parallel runs can be told apart by range.
// CAIRN_PORTS names the first port; servers of the suite and the bench take theirs here and nowhere else.
import { createServer } from "node:net";

const first = Number(process.env["CAIRN_PORTS"] ?? "24400");
const count = 200;
let next = 0;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < count; tries++) {
    const port = first + (next++ % count);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port in ${first}..${first + count - 1}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
