import * as pulumi from "@pulumi/pulumi";

import { formatSize } from "@video-storage/contract/sizes";
import type { StackContract } from "@video-storage/contract/stack-contract";

import type { Problem } from "./checks.js";
import { ConfigError } from "./config.js";
import { PROJECT } from "./stack-files.js";

type SlotOfContract = StackContract["slots"][number];

/** What is looked at of the last deployment's contract. An earlier release may have said less. */
export interface DeployedContract {
  readonly namespace?: string;
  readonly slots?: readonly (Pick<SlotOfContract, "name"> & Partial<SlotOfContract>)[];
}

/**
 * What a deployed stack can't become without losing what lies on its volumes. Each would otherwise fail
 * half-way, at the API, or succeed and leave files that nobody may read.
 */
export function impossibleChanges(before: DeployedContract, now: StackContract): Problem[] {
  const known = new Map((before.slots ?? []).map((slot) => [slot.name, slot]));
  const slots = now.slots.flatMap((slot) => {
    const was = known.get(slot.name);
    return was ? changesOfSlot(was, slot) : [];
  });
  return [
    ...changed("namespace", before.namespace, now.namespace, "claims can't leave their namespace"),
    ...oncePerKeyAndReason(slots),
  ];
}

function changesOfSlot(was: NonNullable<DeployedContract["slots"]>[number], is: SlotOfContract): Problem[] {
  const place = is.node === null ? "pools" : "nodes";
  const size = (bytes: number | undefined) => bytes && formatSize(BigInt(bytes));
  const user = (id: number | undefined) => id && `an id with which ${is.name} belongs to user ${id}`;
  const group = (name: string | undefined) => name && `a slotsPerNode with which ${is.name} is in ${name}`;
  return [
    ...changed(
      "slotSize",
      size(was.capacityBytes),
      size(is.capacityBytes),
      "a slot's filesystem keeps its size; make a second stack with the new one and move over",
    ),
    ...changed(place, user(was.runAsUser), user(is.runAsUser), "the files there belong to that user"),
    ...changed(
      place,
      group(was.placement?.group),
      group(is.placement?.group),
      "its volume lies on the node of that group",
    ),
  ];
}

function changed<T>(key: string, was: T | undefined, is: T | undefined, reason: string): Problem[] {
  if (was === undefined || was === is) return [];
  return [{ key, value: is, allowed: `${was}, as it is deployed: ${reason}` }];
}

/** What is wrong with one slot is mostly wrong with all. */
function oncePerKeyAndReason(problems: readonly Problem[]): Problem[] {
  const first = new Map<string, Problem>();
  for (const problem of problems) {
    const reason = `${problem.key}: ${problem.allowed.split("as it is deployed: ")[1]}`;
    if (!first.has(reason)) first.set(reason, problem);
  }
  return [...first.values()];
}

/**
 * Compares with the contract of the stack's last deployment, which the engine keeps, before any resource is
 * declared. Throws {@link ConfigError} with all that can't be.
 */
export async function refuseImpossibleChanges(now: StackContract): Promise<void> {
  const stack = pulumi.getStack();
  const itself = new pulumi.StackReference("last-deployment", {
    name: `${pulumi.getOrganization()}/${PROJECT}/${stack}`,
  });
  const { value } = await itself.getOutputDetails("contract");
  if (value === undefined) return;
  const problems = impossibleChanges(value as DeployedContract, now);
  if (problems.length > 0) throw new ConfigError(stack, problems);
}
