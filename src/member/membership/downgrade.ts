// Downgrades of the cluster as the API asks for them: one minor version down, checked on state that is as new as the leader's, begun
// and cancelled through the log. That the cluster's version then falls, and that the job ends, is the version monitor's.
import { type EtcdError, errors } from "../../base/errors.ts";
import {
  formatVersion,
  isValidDowngrade,
  parseTargetVersion,
  parseVersion,
  shortVersion,
  type Version,
} from "../../cluster/versions.ts";
import { encodeDowngradeInfoSetRequest } from "../../wire/generated/membershippb.ts";
import type { Member } from "../member.ts";
import { RequestField } from "../request.ts";

/** Exactly one of the two is called, once. */
export interface DowngradeWaiter {
  /** `version`: the cluster's as it is now, `X.Y`. */
  done(version: string): void;
  failed(error: EtcdError): void;
}

export function validateDowngrade(member: Member, target: string, waiter: DowngradeWaiter): void {
  validate(member, target, (outcome) => {
    if ("code" in outcome) waiter.failed(outcome);
    else waiter.done(clusterVersionOf(member));
  });
}

export function enableDowngrade(member: Member, target: string, waiter: DowngradeWaiter): void {
  const refuse = (error: EtcdError): void => {
    member.logger.warn("reject downgrade request", { error: error.message });
    waiter.failed(error);
  };
  validate(member, target, (outcome) => {
    if ("code" in outcome) {
      refuse(outcome);
      return;
    }
    const body = encodeDowngradeInfoSetRequest({ enabled: true, ver: formatVersion(outcome) });
    member.propose(RequestField.DowngradeInfoSet, body, {
      applied: ({ error }) => (error === undefined ? waiter.done(clusterVersionOf(member)) : refuse(error)),
      failed: refuse,
    });
  });
}

/** Never fails: why nothing was cancelled stands in the log alone, as in etcd. */
export function cancelDowngrade(member: Member, waiter: DowngradeWaiter): void {
  const done = (): void => waiter.done(clusterVersionOf(member));
  const refuse = (error: EtcdError): void => {
    member.logger.warn("failed to cancel downgrade", { error: error.message });
    done();
  };
  member.read({
    ready: () => {
      if (!member.membership.downgrade.enabled) {
        refuse(errors.noInflightDowngrade);
        return;
      }
      const body = encodeDowngradeInfoSetRequest({ enabled: false, ver: "" });
      member.propose(RequestField.DowngradeInfoSet, body, {
        applied: ({ error }) => (error === undefined ? done() : refuse(error)),
        failed: refuse,
      });
    },
    failed: refuse,
  });
}

/** The target, or why it is none. In etcd's order. */
function validate(member: Member, text: string, then: (outcome: Version | EtcdError) => void): void {
  const { membership } = member;
  const target = parseTargetVersion(text);
  if (target === undefined) {
    then(errors.wrongDowngradeVersionFormat);
    return;
  }
  if (membership.version === undefined) {
    then(errors.clusterVersionUnavailable);
    return;
  }
  member.read({
    ready: () => {
      const cluster = parseVersion(membership.version ?? "");
      if (cluster === undefined || !isValidDowngrade(cluster, target))
        then(errors.invalidDowngradeTargetVersion);
      else then(membership.downgrade.enabled ? errors.downgradeInProcess : target);
    },
    failed: then,
  });
}

function clusterVersionOf({ membership }: Member): string {
  return shortVersion(membership.version ?? "");
}
