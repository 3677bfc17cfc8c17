// Goal: membership changes never break the rules of configurations, whatever is asked in whatever order, and a configuration survives
// its ConfState. Method: seeded sequences of changes, and comparison of the joint way with the way one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemberId } from "../../base/brand.ts";
import { type ConfChangeSingle, ConfChangeType } from "../conf-change.ts";
import { EMPTY_CONF_STATE } from "../message.ts";
import { isJoint } from "../quorum/joint.ts";
import { describeConfig, EMPTY_CONFIG, ProgressTracker } from "../tracker/tracker.ts";
import { type ChangeBase, type ChangeResult, enterJoint, leaveJoint, simpleChange } from "./changer.ts";
import { checkInvariants } from "./invariants.ts";
import { restoreConfig } from "./restore.ts";

const empty: ChangeBase = {
  config: EMPTY_CONFIG,
  progress: new Map(),
  lastIndex: 10,
  inflightMessagesMax: 10,
  inflightBytesMax: 0,
};

const change = (type: number, nodeId: number): ConfChangeSingle => ({
  type,
  nodeId: BigInt(nodeId) as MemberId,
});

const anyChange = fc
  .tuple(fc.constantFrom(0, 1, 2, 3), fc.integer({ min: 0, max: 7 }))
  .map(([type, nodeId]) => change(type, nodeId));

const command = fc.oneof(
  fc.tuple(fc.constant("simple" as const), fc.array(anyChange, { minLength: 1, maxLength: 2 })),
  fc.tuple(fc.constant("enter" as const), fc.array(anyChange, { maxLength: 5 })),
  fc.tuple(fc.constant("leave" as const), fc.constant([])),
);

function run(
  base: ChangeBase,
  [kind, changes]: readonly [string, readonly ConfChangeSingle[]],
): ChangeResult {
  if (kind === "simple") return simpleChange(base, changes);
  return kind === "enter" ? enterJoint(base, changes.length > 2, changes) : leaveJoint(base);
}

function after(base: ChangeBase, result: ChangeResult): ChangeBase {
  return result.ok ? { ...base, config: result.config, progress: result.progress } : base;
}

function confStateOf(base: ChangeBase): ReturnType<ProgressTracker["confState"]> {
  const tracker = new ProgressTracker(1, 0);
  tracker.use(base.config, base.progress);
  return tracker.confState();
}

test("no sequence of changes leads to a configuration that breaks a rule, and a refused one changes nothing", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      let base = after(empty, simpleChange(empty, [change(ConfChangeType.AddNode, 1)]));
      for (const one of commands) {
        const shown = describeConfig(base.config);
        const roles = [...base.progress.values()].map((progress) => progress.isLearner);
        const result = run(base, one);
        assert.equal(describeConfig(base.config), shown);
        assert.deepEqual(
          [...base.progress.values()].map((progress) => progress.isLearner),
          roles,
        );
        base = after(base, result);
        assert.equal(checkInvariants(base.config, base.progress), undefined);
        assert.ok(base.config.voters.incoming.length > 0);
        const members = new Set([
          ...base.config.voters.incoming,
          ...base.config.voters.outgoing,
          ...base.config.learners,
        ]);
        assert.deepEqual(new Set(base.progress.keys()), members);
      }
    }),
  );
});

test("a configuration restored from its ConfState is the same", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      let base = after(empty, simpleChange(empty, [change(ConfChangeType.AddNode, 1)]));
      for (const one of commands) base = after(base, run(base, one));
      const restored = restoreConfig(empty, confStateOf(base));
      assert.ok(restored.ok);
      assert.equal(describeConfig(restored.config), describeConfig(base.config));
    }),
  );
  const nothing = restoreConfig(empty, EMPTY_CONF_STATE);
  assert.ok(nothing.ok && nothing.progress.size === 0);
});

test("changes made at once through a joint configuration lead where they lead one by one", () => {
  fc.assert(
    fc.property(
      fc.array(anyChange, { maxLength: 6 }),
      fc.array(anyChange, { maxLength: 6 }),
      (before, changes) => {
        let base = after(empty, simpleChange(empty, [change(ConfChangeType.AddNode, 1)]));
        for (const one of before) base = after(base, simpleChange(base, [one]));
        const joint = enterJoint(base, false, changes);
        // One by one only where every step is legal on its own.
        let steps: ChangeBase | undefined = base;
        for (const one of changes) {
          const result: ChangeResult = simpleChange(steps, [one]);
          if (!result.ok) return;
          steps = after(steps, result);
        }
        assert.ok(joint.ok);
        assert.ok(isJoint(joint.config.voters));
        const left = leaveJoint(after(base, joint));
        assert.ok(left.ok);
        assert.equal(describeConfig(left.config), describeConfig(steps.config));
      },
    ),
    { numRuns: 300 },
  );
});

test("an unknown kind of change is refused", () => {
  const result = simpleChange(empty, [change(9, 1)]);
  assert.deepEqual(result, { ok: false, problem: "unexpected conf type 9" });
});
