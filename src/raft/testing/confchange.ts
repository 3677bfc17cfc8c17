// The command language of the membership traces: `simple`, `enter-joint` and `leave-joint` on a configuration that starts empty.
// Test support only.

import { argumentValues, type Directive } from "../../base/testing/datadriven.ts";
import { confChangesFromString } from "../conf-change.ts";
import {
  type ChangeBase,
  type ChangeResult,
  enterJoint,
  leaveJoint,
  simpleChange,
} from "../confchange/changer.ts";
import { describeProgressMap } from "../tracker/progress.ts";
import { describeConfig, EMPTY_CONFIG } from "../tracker/tracker.ts";

export class ConfChangeEnv {
  #base: ChangeBase = {
    config: EMPTY_CONFIG,
    progress: new Map(),
    lastIndex: 0,
    inflightMessagesMax: 10,
    inflightBytesMax: 0,
  };

  run(directive: Directive): string {
    const result = this.#change(directive);
    // Each command counts as one entry, so that a member's `next` tells when it came.
    const lastIndex = this.#base.lastIndex + 1;
    this.#base = { ...this.#base, lastIndex };
    if (typeof result === "string") return result;
    if (!result.ok) return `${result.problem}\n`;
    this.#base = { ...this.#base, config: result.config, progress: result.progress };
    return `${describeConfig(result.config)}\n${describeProgressMap(result.progress)}`;
  }

  #change(directive: Directive): ChangeResult | string {
    const changes = confChangesFromString(directive.input);
    if (typeof changes === "string") return changes;
    switch (directive.command) {
      case "simple":
        return simpleChange(this.#base, changes);
      case "enter-joint":
        return enterJoint(this.#base, argumentValues(directive, "autoleave")[0] === "true", changes);
      case "leave-joint":
        return changes.length > 0 ? "this command takes no input\n" : leaveJoint(this.#base);
      default:
        return "unknown command";
    }
  }
}
