// How log lines tell the size of a store: etcd's four fields, of which those in use and those in all are the same here. Pure.
import { humanBytes } from "../../base/human-bytes.ts";
import type { Fields } from "../../ports/logger.ts";

/** `bytes`: what is alive. */
export function sizeFields(bytes: number): Fields {
  const human = humanBytes(bytes);
  return {
    "current-db-size-bytes": bytes,
    "current-db-size": human,
    "current-db-size-in-use-bytes": bytes,
    "current-db-size-in-use": human,
  };
}
