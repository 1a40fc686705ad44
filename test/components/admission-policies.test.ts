import { describe, expect, it } from "vitest";

import { buildAdmissionPolicies } from "../../components/lib/admission-policies.js";

const NAMES = ["claim-bounded", "claim-needs-quota", "pod-off-host", "volume-pinned"];
const objects = buildAdmissionPolicies({
  environment: "local",
  prefix: "video-jobs",
  namespaces: ["video-jobs", "video-storage"],
  storageClasses: ["fast"],
});
const of = (kind: string, name: string) =>
  objects.find((object) => object.kind === kind && object.metadata.name === `video-jobs-${name}`)!;

describe("admission policies", () => {
  it("are a policy and its binding for each rule", () => {
    const made = objects.map(({ kind, metadata }) => [kind, metadata.name]);
    expect(made).toEqual(
      NAMES.flatMap((name) => [
        ["ValidatingAdmissionPolicy", `video-jobs-${name}`],
        ["ValidatingAdmissionPolicyBinding", `video-jobs-${name}`],
      ]),
    );
  });

  it("refuse what they can't judge", () => {
    const policies = objects.filter(({ kind }) => kind === "ValidatingAdmissionPolicy");
    expect(policies.map(({ spec }) => (spec as { failurePolicy: string }).failurePolicy)).toEqual(
      NAMES.map(() => "Fail"),
    );
  });

  it("hold in the stack's namespaces alone, or for its classes where there is no namespace", () => {
    const inNamespaces = {
      namespaceSelector: {
        matchExpressions: [
          { key: "kubernetes.io/metadata.name", operator: "In", values: ["video-jobs", "video-storage"] },
        ],
      },
    };
    expect(of("ValidatingAdmissionPolicyBinding", "pod-off-host").spec).toEqual({
      policyName: "video-jobs-pod-off-host",
      validationActions: ["Deny"],
      matchResources: inNamespaces,
    });
    expect(of("ValidatingAdmissionPolicyBinding", "volume-pinned").spec).toEqual({
      policyName: "video-jobs-volume-pinned",
      validationActions: ["Deny"],
    });
    expect(of("ValidatingAdmissionPolicy", "volume-pinned").spec).toMatchObject({
      matchConditions: [
        {
          name: "ours",
          expression: 'has(object.spec.storageClassName) && object.spec.storageClassName in ["fast"]',
        },
      ],
    });
  });

  it("look for the quota in the claim's own namespace, and refuse the claim when there is none", () => {
    expect(of("ValidatingAdmissionPolicyBinding", "claim-needs-quota").spec).toMatchObject({
      paramRef: {
        selector: { matchLabels: { "video-storage/limits": "claims" } },
        parameterNotFoundAction: "Deny",
      },
    });
  });

  it("have the limits of the policy pack", () => {
    const { validations } = of("ValidatingAdmissionPolicy", "claim-bounded").spec as {
      validations: { expression: string; message: string }[];
    };
    expect(validations[2]).toEqual({
      expression:
        'quantity(object.spec.resources.requests.storage).compareTo(quantity("1Mi")) >= 0 && ' +
        'quantity(object.spec.resources.requests.storage).compareTo(quantity("16Ti")) <= 0',
      message: "the claim's size is out of bounds; ask for 1Mi to 16Ti",
      reason: "Forbidden",
    });
  });
});
