// An operator who changes the cluster while everybody works: learners (or voters at once) that join with an empty disk, promotions, other
// peer URLs, removals, also of the leader. An answer that was lost is looked up in the members' list, as an operator would.
import { memberId } from "../../base/brand.ts";
import {
  decodeMemberAddResponse,
  decodeMemberListResponse,
  decodeMemberPromoteResponse,
  decodeMemberRemoveResponse,
  decodeMemberUpdateResponse,
  encodeMemberAddRequest,
  encodeMemberListRequest,
  encodeMemberPromoteRequest,
  encodeMemberRemoveRequest,
  encodeMemberUpdateRequest,
  type MemberListResponse,
} from "../../wire/generated/etcdserverpb.ts";
import { SimClient } from "../client.ts";
import { happened, leading, type SimContext, sleep, type Workload } from "../context.ts";
import type { Machine } from "../machine.ts";
import type { SeededRandom } from "../random.ts";

const ROUNDS_MAX = 3;
const PROMOTIONS_MAX = 20;
/** The cluster does not become smaller than this. */
const MEMBERS_MIN = 3;

export const membershipChurn: Workload = {
  name: "membership-churn",
  run: async (sim, random) => {
    if (sim.network === undefined || random.once(2)) return;
    // As an operator's client with all endpoints: mostly it finds the leader, and does not wait for one that is cut off.
    const operator = new Operator(sim, random, () => (random.once(4) ? undefined : leading(sim)));
    const pace = random.pick([300, 1500]);
    for (let round = 1; sim.running && round <= ROUNDS_MAX; round++) {
      await sleep(sim, random.below(pace));
      const added = await operator.add(`n${round}`, `http://10.0.1.${round}:2380`, !random.once(4));
      if (added !== undefined) await operator.promote(added);
      if (random.once(2)) await operator.update(round);
      await sleep(sim, random.below(pace));
      if (sim.running && random.once(2)) await operator.remove();
    }
  },
};

export class Operator {
  readonly #sim: SimContext;
  readonly #random: SeededRandom;
  readonly #client: SimClient;
  readonly #at: () => Machine | undefined;

  /** `at`: the machine that it turns to, if it is up; otherwise any. */
  constructor(sim: SimContext, random: SeededRandom, at: () => Machine | undefined = () => undefined) {
    this.#sim = sim;
    this.#at = at;
    this.#random = random;
    // Who operates a cluster waits for what comes of it.
    this.#client = new SimClient(sim, Number.POSITIVE_INFINITY);
  }

  /** `name`: of the new member. */
  async add(name: string, url: string, isLearner: boolean): Promise<Machine | undefined> {
    const request = encodeMemberAddRequest({ peerUrls: [url], isLearner });
    await this.#client.call("Cluster/MemberAdd", request, decodeMemberAddResponse, this.#at());
    const list = await this.#list();
    const found = list?.members.find(({ peerUrls }) => peerUrls.includes(url));
    if (list === undefined || found === undefined) return undefined;
    happened(this.#sim, isLearner ? "learner added" : "voter added");
    return this.#sim.join(name, url, {
      kind: "join",
      clusterId: list.header!.clusterId as never,
      localId: memberId(found.id),
      members: list.members.map(({ id, peerUrls, name, isLearner: learns }) => ({
        id: memberId(id),
        peerUrls,
        name,
        isLearner: learns,
        clientUrls: [],
      })),
    });
  }

  async promote({ id }: Machine): Promise<void> {
    const request = encodeMemberPromoteRequest({ id });
    for (let n = 0; n < PROMOTIONS_MAX && this.#sim.running; n++) {
      const promoted = await this.#client.call(
        "Cluster/MemberPromote",
        request,
        decodeMemberPromoteResponse,
        this.#at(),
      );
      if (promoted.kind === "ok") happened(this.#sim, "learner promoted");
      const over = promoted.kind === "error" && !promoted.error.message.endsWith("in sync with leader");
      if (promoted.kind === "ok" || over) return;
      await sleep(this.#sim, this.#random.below(400));
    }
  }

  /** Another peer URL; the member listens there after its next start. */
  async update(round: number): Promise<void> {
    const machine = this.#random.pick(this.#sim.members);
    const url = `http://10.0.2.${round}:2380`;
    const request = encodeMemberUpdateRequest({ id: machine.id, peerUrls: [url] });
    await this.#client.call("Cluster/MemberUpdate", request, decodeMemberUpdateResponse, this.#at());
    // Also when the history is over: a member that is told to be where it does not listen cannot be asked.
    const list = await this.#list(true);
    if (!list?.members.some(({ peerUrls }) => peerUrls.includes(url))) return;
    happened(this.#sim, "member updated");
    machine.memberOptions = { ...machine.memberOptions, peerUrls: [url] };
    if (machine.on) machine.kill();
  }

  async remove(): Promise<void> {
    const { members } = this.#sim;
    if (members.length <= MEMBERS_MIN) return;
    const machine = this.#random.pick(members);
    const request = encodeMemberRemoveRequest({ id: machine.id });
    await this.#client.call("Cluster/MemberRemove", request, decodeMemberRemoveResponse, this.#at());
    const list = await this.#list();
    if (list === undefined || list.members.some(({ id }) => id === machine.id)) return;
    happened(this.#sim, "member removed");
    // Until its machine is switched off it may not have heard that it is no member any more.
    await sleep(this.#sim, this.#random.below(3000));
    if (!machine.gone) machine.remove();
  }

  /** Undefined when the history ends before anybody knows, unless it must be known. */
  async #list(must = false): Promise<MemberListResponse | undefined> {
    const request = encodeMemberListRequest({ linearizable: true });
    while (must || this.#sim.running) {
      const list = await this.#client.call(
        "Cluster/MemberList",
        request,
        decodeMemberListResponse,
        this.#at(),
      );
      if (list.kind === "ok") return list.response;
      await sleep(this.#sim, 100);
    }
    return undefined;
  }
}
