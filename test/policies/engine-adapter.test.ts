import type {
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationArgs,
  StackValidationPolicy,
} from "@pulumi/policy";
import { describe, expect, it } from "vitest";

// @ts-expect-error What the engine's runner takes values with is in the package and not in its types.
import { unknownCheckingProxy, unknownStringValue } from "@pulumi/policy/proxy";
import { enginePolicies, known } from "../../policies/engine";
import { UNKNOWN } from "../../policies/model";
import { RULES } from "../../policies/pack";
import { container, pod, podSpec, storageClass, claim, secured } from "./examples.js";
import type { ResourceView } from "../../policies/model";

const TODAY = new Date("2026-11-22T12:00:00Z");
const POLICIES = enginePolicies(RULES, () => TODAY);
const policy = (name: string) => POLICIES.find((candidate) => candidate.name === name)!;

/** As the SDK hands them over: any value that isn't known yet throws at the touch. */
const guarded = <T extends object>(value: T): T => unknownCheckingProxy(value) as T;

class NotApplicable extends Error {}

function argumentsFor(view: ResourceView, config: object = {}): ResourceValidationArgs {
  return {
    ...view,
    props: guarded(view.props),
    opts: { protect: false },
    getConfig: () => config,
    notApplicable: () => {
      throw new NotApplicable();
    },
  } as unknown as ResourceValidationArgs;
}

function reported(name: string, view: ResourceView, config?: object): string[] {
  const found: string[] = [];
  const { validateResource } = policy(name) as ResourceValidationPolicy;
  void (validateResource as (args: ResourceValidationArgs, report: (message: string) => void) => void)(
    argumentsFor(view, config),
    (message) => found.push(message),
  );
  return found;
}

function reportedOfStack(name: string, views: readonly ResourceView[]): [string, string | undefined][] {
  const found: [string, string | undefined][] = [];
  const resources = views.map((view) => ({ ...argumentsFor(view), propertyDependencies: {} }));
  void (policy(name) as StackValidationPolicy).validateStack(
    {
      resources,
      getConfig: () => ({}),
      notApplicable: argumentsFor(views[0]!).notApplicable,
    } as unknown as StackValidationArgs,
    (message, urn) => found.push([message, urn]),
  );
  return found;
}

describe("the rules as the engine runs them", () => {
  it("are all there, with a level, a severity and what can be configured", () => {
    expect(POLICIES.map(({ name }) => name)).toEqual(RULES.map(({ name }) => name));
    expect(policy("user-not-root")).toMatchObject({
      enforcementLevel: "mandatory",
      severity: "critical",
      tags: ["pods"],
      configSchema: {
        properties: {
          minimumUser: { type: "integer", description: "lowest user id that a container may run as" },
          exemptions: { type: "array" },
        },
      },
    });
  });

  it("report what they find", () => {
    expect(reported("host-not-shared", pod(podSpec({ hostPID: true })))).toEqual([
      "hostPID is true; leave it out",
    ]);
    expect(
      reportedOfStack("claim-class-binds-late", [claim(), storageClass({ volumeBindingMode: "Immediate" })]),
    ).toEqual([
      [
        "volumeBindingMode is Immediate (without it: Immediate); set WaitForFirstConsumer",
        storageClass().urn,
      ],
    ]);
  });

  it("say that they don't apply rather than that all is well", () => {
    expect(() => reported("host-not-shared", claim())).toThrow(NotApplicable);
    expect(() => reportedOfStack("claim-class-binds-late", [storageClass()])).toThrow(NotApplicable);
  });

  it("find what is known to be wrong beside what isn't known yet", () => {
    const view = pod(podSpec({ hostPID: true, containers: [container({ image: unknownStringValue })] }));
    expect(reported("host-not-shared", view)).toEqual(["hostPID is true; leave it out"]);
    expect(reported("image-by-digest", view)).toEqual([]);
  });

  it("judge the other resources of a stack when one isn't known yet", () => {
    const unknown = storageClass({ volumeBindingMode: unknownStringValue }, "other");
    const found = reportedOfStack("claim-class-binds-late", [
      claim(),
      claim({ storageClassName: "other" }),
      unknown,
      storageClass({ volumeBindingMode: "Immediate" }),
    ]);
    expect(found.map(([, urn]) => urn)).toEqual([storageClass().urn]);
  });

  it("take limits and exemptions from the engine's configuration, and refuse wrong ones", () => {
    expect(reported("user-not-root", secured({ runAsUser: 2000 }), { minimumUser: 1000 })).toEqual([]);
    const exemptions = [
      { resource: "Pod/jobs/p", reason: "the on-call looks at the host", until: "2026-12-31" },
    ];
    expect(reported("host-not-shared", pod(podSpec({ hostPID: true })), { exemptions })).toEqual([]);
    expect(() => reported("host-not-shared", pod(), { exemptions: [{ resource: "x" }] })).toThrow("say why");
  });
});

describe("a remedy", () => {
  const remedied = (name: string, view: ResourceView): ResourceView["props"] | undefined => {
    const { remediateResource } = policy(name) as ResourceValidationPolicy;
    const copy = structuredClone(view.props);
    return remediateResource!({ ...argumentsFor(view), props: copy }) as ResourceView["props"] | undefined;
  };
  const NAMES = ["privileges-not-gained", "capabilities-dropped", "seccomp-set"];

  it("is there where it is safe, and nowhere else", () => {
    const having = POLICIES.filter((candidate) => "remediateResource" in candidate).map(({ name }) => name);
    expect(having.sort()).toEqual([...NAMES].sort());
  });

  it.each([
    ["privileges-not-gained", secured({ allowPrivilegeEscalation: undefined }), pod()],
    ["capabilities-dropped", secured({ capabilities: undefined }), pod()],
  ])("of %s makes the resource pass and changes nothing else", (name, broken, whole) => {
    expect(remedied(name, broken)).toEqual(whole.props);
  });

  it("of seccomp-set names the runtime's profile", () => {
    const broken = pod(podSpec({ securityContext: { runAsNonRoot: true } }));
    expect(remedied("seccomp-set", broken)).toEqual(
      pod(podSpec({ securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } } }))
        .props,
    );
  });

  it.each(NAMES)("of %s leaves alone what is fine", (name) => {
    expect(remedied(name, pod())).toBeUndefined();
  });

  it.each([
    ["privileges-not-gained", secured({ allowPrivilegeEscalation: true })],
    ["capabilities-dropped", secured({ capabilities: { drop: ["NET_RAW"] } })],
    ["seccomp-set", pod(podSpec({ securityContext: { seccompProfile: { type: "Unconfined" } } }))],
  ])("of %s doesn't overrule what somebody wrote", (name, view) => {
    expect(remedied(name, view)).toBeUndefined();
  });
});

describe("a copy of what the engine hands over", () => {
  it("has a mark where a value isn't known, at any depth", () => {
    const props = guarded({ a: 1, b: unknownStringValue, c: [{ d: unknownStringValue }, "e"] });
    expect(known(props)).toEqual({ a: 1, b: UNKNOWN, c: [{ d: UNKNOWN }, "e"] });
  });
});
