// Two watch workloads of our own generator: one change told to a thousand watchers, and the time from a put to its event.

import { cpuMs, memoryMb } from "../process-usage.ts";
import type { Measures, Session } from "../session.ts";
import { openAll } from "./closed-loop.ts";
import { Connection } from "./connection.ts";
import { Histogram } from "./histogram.ts";
import { countField } from "./protobuf.ts";
import { keyOf, paths, put, watchCreate } from "./requests.ts";

const connectionsOfWatchers = 20;
const watchers = 1000;
/** Puts in flight: enough that the server never waits, few enough that no watcher falls behind without end. */
const writers = 4;
const [fieldCreated, fieldEvents] = [3, 11];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A thousand watchers of one key, fifty to a stream; a few writers change it as fast as all events arrive. */
export async function fanOut(session: Session): Promise<Measures> {
  const connections = await openAll(session.target, connectionsOfWatchers + 1);
  const writer = connections.pop()!;
  const state = { created: 0, events: 0, puts: 0, replies: 0, writing: false, stopped: false, failure: "" };
  const request = put(keyOf(1), Buffer.alloc(256, "v"));
  // The next put goes out when an earlier one is answered and its events have arrived, so that events are counted and not queued.
  const pump = (): void => {
    while (state.writing && !state.stopped) {
      const finished = Math.min(state.replies, Math.floor(state.events / watchers));
      if (state.puts - finished >= writers) return;
      state.puts++;
      writer.unary(paths.put, request, {
        onMessage: () => {},
        onEnd: () => {
          state.replies++;
          pump();
        },
      });
    }
  };
  try {
    for (const connection of connections) {
      const send = connection.stream(paths.watch, {
        onMessage: (body) => {
          if (state.created < watchers) state.created += countField(body, fieldCreated);
          state.events += countField(body, fieldEvents);
          pump();
        },
        onEnd: (why) => {
          if (!state.stopped) state.failure ||= why ?? "stream ended";
        },
      });
      for (let i = 0; i < watchers / connectionsOfWatchers; i++) send(watchCreate(keyOf(1)));
    }
    await until(() => state.created === watchers || state.failure !== "", 20_000, "watchers to be created");
    state.writing = true;
    pump();
    await sleep(session.quick ? 500 : 1_500);
    const [eventsBefore, cpuBefore, began] = [state.events, cpuMs(session.server.pid), performance.now()];
    await sleep(session.quick ? 1_000 : 4_000);
    const seconds = (performance.now() - began) / 1000;
    const events = state.events - eventsBefore;
    const cpu = cpuMs(session.server.pid) - cpuBefore;
    state.stopped = true;
    if (state.failure !== "" || events === 0) throw new Error(`watchers got no events: ${state.failure}`);
    return { rate: events / seconds, cpu: (cpu * 1000) / events, rss: memoryMb(session.server.pid, "VmHWM") };
  } finally {
    state.stopped = true;
    for (const connection of [...connections, writer]) connection.close();
  }
}

/** One watcher, one writer, one change at a time. */
export async function watchLatency(session: Session): Promise<Measures> {
  const [watching, writing] = [await Connection.open(session.target), await Connection.open(session.target)];
  const latency = new Histogram();
  const state = { created: false, arrived: (_now: number): void => {}, failure: "" };
  try {
    const send = watching.stream(paths.watch, {
      onMessage: (body) => {
        if (countField(body, fieldCreated) === 1) state.created = true;
        if (countField(body, fieldEvents) > 0) state.arrived(performance.now());
      },
      onEnd: (why) => {
        state.failure ||= why ?? "stream ended";
      },
    });
    send(watchCreate(keyOf(1)));
    await until(() => state.created || state.failure !== "", 10_000, "the watcher to be created");
    const request = put(keyOf(1), Buffer.alloc(256, "v"));
    const warm = session.quick ? 100 : 1_000;
    const rounds = warm + (session.quick ? 500 : 4_000);
    for (let i = 0; i < rounds; i++) {
      const sentAt = performance.now();
      const event = new Promise<number>((resolve) => {
        state.arrived = resolve;
      });
      const reply = new Promise<void>((resolve) => {
        writing.unary(paths.put, request, { onMessage: () => {}, onEnd: () => resolve() });
      });
      const limit = setTimeout(() => state.arrived(Number.NaN), 10_000);
      const arrivedAt = await event;
      clearTimeout(limit);
      await reply;
      if (Number.isNaN(arrivedAt)) throw new Error(`no event within 10 s: ${state.failure}`);
      if (i >= warm) latency.record(arrivedAt - sentAt);
    }
    return { p50: latency.quantile(0.5), p99: latency.quantile(0.99) };
  } finally {
    watching.close();
    writing.close();
  }
}

async function until(done: () => boolean, limitMs: number, what: string): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`);
    await sleep(5);
  }
}
