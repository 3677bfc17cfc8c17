// What a server costs, read from /proc: CPU time and memory of the process and of what it started. Linux only; the bench says so.
import { readdirSync, readFileSync } from "node:fs";

/** Linux reports CPU time to user space in hundredths of a second, whatever the kernel's own tick is. */
const tickMs = 10;

/** CPU milliseconds, user and system, of the process tree. */
export function cpuMs(pid: number): number {
  let ticks = 0;
  for (const one of tree(pid)) {
    const fields = statFields(one);
    if (fields !== undefined) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * tickMs;
}

/** Resident memory in MiB, now or at its peak. */
export function memoryMb(pid: number, kind: "VmRSS" | "VmHWM"): number {
  let kib = 0;
  for (const one of tree(pid)) {
    const status = read(`/proc/${one}/status`);
    kib += Number(new RegExp(`${kind}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  }
  return kib / 1024;
}

function tree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))?.[1] ?? -1);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i]!) ?? []));
  return found;
}

/** The fields after the command's name, which may hold spaces. */
function statFields(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text === "" ? undefined : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the process has gone meanwhile
  }
}
