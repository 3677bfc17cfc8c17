// A closed loop: so many clients on so many connections, each sending its next request when its last was answered, for a given time.
// The first part of the time is not counted: both servers may warm up. It must end by itself and report failures, never hide them.
import { Connection, type Target } from "./connection.ts";
import { Histogram } from "./histogram.ts";

export interface LoopOptions {
  readonly target: Target;
  readonly connections: number;
  readonly clients: number;
  readonly path: string;
  /** The request of the n-th call; the buffer may be the same each time. */
  readonly request: (n: number) => Buffer;
  readonly warmMs: number;
  readonly runMs: number;
  /** Ends counting before `runMs` has passed. */
  readonly until?: () => Promise<void>;
  /** Called when counting begins, for measures beside the loop. */
  readonly onStart?: () => void;
  /** Called when counting ends, before the last replies come in. */
  readonly onStop?: () => void;
}

export interface LoopResult {
  readonly operations: number;
  readonly seconds: number;
  readonly latency: Histogram;
  readonly bytes: number;
}

class Client {
  readonly #connection: Connection;
  readonly #loop: Loop;
  #sentAt = 0;

  constructor(connection: Connection, loop: Loop) {
    this.#connection = connection;
    this.#loop = loop;
  }

  send(): void {
    this.#sentAt = performance.now();
    this.#connection.unary(this.#loop.options.path, this.#loop.nextRequest(), this);
  }

  onMessage(): void {
    // The body is not wanted; the end of the call counts.
  }

  onEnd(failure: string | undefined): void {
    if (this.#loop.finished(this.#sentAt, failure)) this.send();
  }
}

class Loop {
  readonly options: LoopOptions;
  latency = new Histogram();
  #sent = 0;
  #open = 0;
  #counting = false;
  #stopped = false;
  #failure: string | undefined;
  #drained: () => void = () => {};

  constructor(options: LoopOptions) {
    this.options = options;
  }

  nextRequest(): Buffer {
    this.#open++;
    return this.options.request(this.#sent++);
  }

  /** Takes a call's end; true when the client should go on. */
  finished(sentAt: number, failure: string | undefined): boolean {
    this.#open--;
    if (failure !== undefined) this.#failure ??= failure;
    else if (this.#counting) this.latency.record(performance.now() - sentAt);
    if (!this.#stopped && this.#failure === undefined) return true;
    if (this.#open === 0) this.#drained();
    return false;
  }

  start(): void {
    this.latency = new Histogram();
    this.#counting = true;
    this.options.onStart?.();
  }

  async stop(): Promise<void> {
    this.#counting = false;
    this.options.onStop?.();
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
      setTimeout(resolve, 20_000).unref();
    });
    this.#stopped = true;
    if (this.#open > 0) await drained;
    if (this.#failure !== undefined) throw new Error(`${this.options.path} failed: ${this.#failure}`);
    if (this.#open > 0)
      throw new Error(`${this.options.path}: ${this.#open} calls got no answer within 20 s`);
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function openAll(target: Target, count: number): Promise<Connection[]> {
  const connections: Connection[] = [];
  for (let i = 0; i < count; i++) connections.push(await Connection.open(target));
  return connections;
}

export async function closedLoop(options: LoopOptions): Promise<LoopResult> {
  const connections = await openAll(options.target, options.connections);
  const loop = new Loop(options);
  try {
    for (let i = 0; i < options.clients; i++) new Client(connections[i % connections.length]!, loop).send();
    await sleep(options.warmMs);
    const bytesBefore = sum(connections);
    const began = performance.now();
    loop.start();
    await (options.until === undefined
      ? sleep(options.runMs)
      : Promise.race([sleep(options.runMs), options.until()]));
    const seconds = (performance.now() - began) / 1000;
    const bytes = sum(connections) - bytesBefore;
    await loop.stop();
    return { operations: loop.latency.total, seconds, latency: loop.latency, bytes };
  } finally {
    for (const connection of connections) connection.close();
  }
}

function sum(connections: readonly Connection[]): number {
  return connections.reduce((total, { received }) => total + received, 0);
}

/** A fixed number of calls, as fast as the server takes them; gives the seconds they took. */
export async function fixedCount(
  options: Omit<LoopOptions, "warmMs" | "runMs" | "onStart"> & {
    readonly count: number;
    readonly onProgress?: (done: number) => void;
  },
): Promise<number> {
  const connections = await openAll(options.target, options.connections);
  const began = performance.now();
  let sent = 0;
  let done = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      const next = (connection: Connection): void => {
        if (sent >= options.count) return;
        connection.unary(options.path, options.request(sent++), {
          onMessage: () => {},
          onEnd: (failure) => {
            if (failure !== undefined) return reject(new Error(`${options.path} failed: ${failure}`));
            done++;
            if (done % 10_000 === 0) options.onProgress?.(done);
            if (done === options.count) resolve();
            else next(connection);
          },
        });
      };
      for (let i = 0; i < Math.min(options.clients, options.count); i++)
        next(connections[i % connections.length]!);
    });
  } finally {
    for (const connection of connections) connection.close();
  }
  return (performance.now() - began) / 1000;
}

/** One call whose reply's message is wanted. */
export async function callOnce(target: Target, path: string, body: Buffer): Promise<Buffer> {
  const connection = await Connection.open(target);
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      let reply: Buffer | undefined;
      const call = {
        onMessage: (message: Buffer) => {
          reply = Buffer.from(message);
        },
        onEnd: (failure: string | undefined) => {
          if (reply === undefined) reject(new Error(failure ?? "no reply"));
          else resolve(reply);
        },
      };
      connection.unary(path, body, call, true);
    });
  } finally {
    connection.close();
  }
}
