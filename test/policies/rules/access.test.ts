import { UNKNOWN } from "../../../policies/model";
import type { ResourceView } from "../../../policies/model";
import { describeRules, kubernetes, pod, podSpec, resource } from "../examples.js";

type Props = Record<string, unknown>;

const role = (...rules: Props[]) =>
  kubernetes("rbac.authorization.k8s.io/v1", "Role", { metadata: { name: "r", namespace: "jobs" }, rules });
const rule = (change: Props = {}) => ({ apiGroups: [""], resources: ["pods"], verbs: ["get"], ...change });
const binding = (subject: Props = {}, roleName = "r") =>
  kubernetes("rbac.authorization.k8s.io/v1", "RoleBinding", {
    metadata: { name: "b", namespace: "jobs" },
    subjects: [{ kind: "ServiceAccount", name: "worker", namespace: "jobs", ...subject }],
    roleRef: { kind: "Role", name: roleName },
  });
const account = (automount: boolean | undefined) =>
  kubernetes("core/v1", "ServiceAccount", {
    metadata: { name: "worker", namespace: "jobs" },
    automountServiceAccountToken: automount,
  });
const withToken = (mounted: boolean | undefined) => pod(podSpec({ automountServiceAccountToken: mounted }));
const cloudPolicy = (...Statement: Props[]) =>
  resource("aws:iam/rolePolicy:RolePolicy", { policy: JSON.stringify({ Statement }) });
const allow = (change: Props = {}) => ({
  Effect: "Allow",
  Action: ["s3:GetObject"],
  Resource: ["arn:aws:s3:::videos/*"],
  ...change,
});
const cloudRole = (...Statement: Props[]) =>
  resource("aws:iam/role:Role", { assumeRolePolicy: JSON.stringify({ Statement }) });
const webIdentity = (StringEquals: Props) => ({
  Effect: "Allow",
  Principal: { Federated: "arn:oidc" },
  Action: "sts:AssumeRoleWithWebIdentity",
  Condition: { StringEquals },
});
const inline = (...Statement: Props[]) =>
  resource("aws:iam/role:Role", {
    assumeRolePolicy: JSON.stringify({ Statement: [webIdentity({ ...SUB, ...AUD })] }),
    inlinePolicies: [{}, { name: "s3", policy: JSON.stringify({ Statement }) }],
  });
const attached = (policyArn: unknown) =>
  resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", { role: "r", policyArn });
const SUB = { "oidc.test/id/X:sub": "system:serviceaccount:jobs:worker" };
const AUD = { "oidc.test/id/X:aud": "sts.amazonaws.com" };

describeRules("access", {
  "token-on-purpose": {
    pass: [
      [withToken(false)],
      [withToken(true), binding()],
      [withToken(undefined), account(false)],
      [binding()],
    ],
    fail: [
      [
        [withToken(true)],
        "automountServiceAccountToken is true, and nothing in the stack gives jobs/worker a right",
      ],
      [[withToken(undefined)], "automountServiceAccountToken is on by default"],
      [[withToken(undefined), account(true)], "automountServiceAccountToken is true"],
      [[withToken(true), binding({ namespace: "other" })], "gives jobs/worker a right"],
      [[pod(podSpec({ serviceAccountName: "default" }))], "serviceAccountName is default"],
      [[pod(podSpec({ serviceAccountName: undefined }))], "serviceAccountName is not set"],
    ],
  },
  "rights-least": {
    pass: [
      [role(rule())],
      [role(rule({ resources: ["secrets"], resourceNames: ["one"] }))],
      [role(rule({ resources: ["*/scale"] }))],
      [binding()],
    ],
    fail: [
      [[role(rule({ verbs: ["*"] }))], "rule 1: verbs are *"],
      [[role(rule(), rule({ resources: ["*"] }))], "rule 2: resources are *"],
      [[role(rule({ apiGroups: ["*"] }))], "apiGroups are *"],
      [[role({ nonResourceURLs: ["*"], verbs: ["get"] })], "nonResourceURLs are *"],
      [[role(rule({ resources: ["serviceaccounts"], verbs: ["impersonate"] }))], "verbs impersonate"],
      ...["pods/exec", "*/exec", "*/token", "*/proxy"].map((name): [ResourceView[], string] => [
        [role(rule({ resources: [name], verbs: ["create"] }))],
        `rule 1: resources ${name} lead into other pods`,
      ]),
      [[role(rule({ resources: ["secrets"], verbs: ["get", "list"] }))], "it lists secrets"],
      [[role(rule({ resources: ["secrets"] }))], "it gets any secret"],
      [[role(rule({ resources: ["rolebindings"], verbs: ["create"] }))], "it writes roles or bindings"],
      ...["validatingadmissionpolicies", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"].map(
        (name): [ResourceView[], string] => [
          [role(rule({ resources: [name], verbs: ["delete"] }))],
          "it writes admission rules",
        ],
      ),
    ],
  },
  "rights-given-to-one": {
    pass: [
      [binding()],
      [role()],
      [binding({ kind: "User", name: "default" })],
      [binding({ kind: "User", name: "system:serviceaccount:jobs:worker" })],
    ],
    fail: [
      [[binding({ kind: "Group", name: "system:authenticated" })], "it is given to system:authenticated"],
      [
        [binding({ kind: "Group", name: "system:serviceaccounts:jobs" })],
        "it is given to system:serviceaccounts:jobs",
      ],
      [[binding({ name: "default" })], "it is given to the default ServiceAccount"],
      [
        [binding({ kind: "User", name: "system:serviceaccount:jobs:default" })],
        "it is given to the default ServiceAccount",
      ],
      [[binding({}, "cluster-admin")], "it gives the role cluster-admin"],
    ],
  },
  "cloud-rights-least": {
    pass: [
      [cloudPolicy(allow())],
      [cloudPolicy(allow({ Action: "ec2:DescribeNetworkInterfaces", Resource: "*" }))],
      [cloudPolicy({ Effect: "Deny", Action: "*", Resource: "*" })],
      [cloudPolicy({ Effect: "Deny", NotAction: "s3:GetObject", Resource: "*" })],
      [cloudPolicy(allow({ Resource: "*", Condition: { StringLike: { "s3:prefix": "x" } } }))],
      [cloudPolicy(allow({ Resource: "*", Condition: { StringEquals: { "aws:resourceTag/of": "video" } } }))],
      [cloudPolicy(allow({ Resource: ["arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/x:*"] }))],
      [cloudPolicy(allow({ Resource: ["arn:aws:execute-api:eu-west-1:1:api/*"] }))],
      [
        resource("aws:iam/policy:Policy", {
          policy: {
            Statement: allow({ Resource: "*", Condition: { StringEquals: { "s3:prefix": UNKNOWN } } }),
          },
        }),
      ],
      [inline(allow())],
      [attached("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")],
      [attached(UNKNOWN)],
      [resource("aws:iam/policy:Policy", { policy: UNKNOWN })],
    ],
    fail: [
      [[cloudPolicy(allow({ Action: ["s3:*"] }))], "statement 1 allows s3:*"],
      [[cloudPolicy({ Effect: "Allow", NotAction: "iam:*", Resource: "arn" })], "statement 1 allows *"],
      [
        [cloudPolicy({ Effect: "Allow", Action: "s3:GetObject", NotResource: "arn" })],
        "statement 1 is for every resource",
      ],
      [[cloudPolicy(allow(), allow({ Resource: "*" }))], "statement 2 is for every resource"],
      [[resource("aws:iam/policy:Policy", { policy: "nope" })], "no JSON document"],
      ...["*:*", "s3:**", "s3:Get*", "s3:PutObjec?"].map((Action): [ResourceView[], string] => [
        [cloudPolicy(allow({ Action }))],
        `statement 1 allows ${Action}; list the actions`,
      ]),
      ...[
        "arn:aws:s3:::*",
        "arn:aws:s3:::*/*",
        "arn:aws:s3:::videos*",
        "arn:*",
        "arn:aws:*:eu-west-1:1:x",
        "arn:aws:kms:eu-west-1:1:key/*",
        "arn:aws:secretsmanager:eu-west-1:1:secret:*",
      ].map((Resource): [ResourceView[], string] => [
        [cloudPolicy(allow({ Resource }))],
        `statement 1 is for every resource, by ${Resource}; name`,
      ]),
      ...[
        { Bool: { "aws:SecureTransport": "true" } },
        { StringNotEquals: { "s3:prefix": "x" } },
        { StringLikeIfExists: { "s3:prefix": "x" } },
        { StringLike: { "s3:prefix": ["x", "*"] } },
        { StringEquals: { "aws:PrincipalArn": "arn:role" } },
      ].map((Condition): [ResourceView[], string] => [
        [cloudPolicy(allow({ Resource: "*", Condition }))],
        "statement 1 is for every resource, by *",
      ]),
      [[inline(allow({ Action: "s3:*" }))], "inline policy s3: statement 1 allows s3:*"],
      [
        [attached("arn:aws:iam::aws:policy/AdministratorAccess")],
        "it has arn:aws:iam::aws:policy/AdministratorAccess, which allows everything",
      ],
      [
        [
          resource("aws:iam/role:Role", {
            managedPolicyArns: ["arn:aws:iam::aws:policy/AmazonS3FullAccess"],
          }),
        ],
        "it has arn:aws:iam::aws:policy/AmazonS3FullAccess",
      ],
    ],
  },
  "no-static-cloud-key": {
    pass: [[cloudRole(webIdentity({ ...SUB, ...AUD }))]],
    fail: [
      [[resource("aws:iam/accessKey:AccessKey", {})], "use a role with IRSA"],
      [[resource("aws:iam/user:User", {})], "use a role with IRSA"],
    ],
  },
  "role-taken-by-one": {
    pass: [
      [cloudRole(webIdentity({ ...SUB, ...AUD }))],
      [
        resource("aws:iam/role:Role", {
          assumeRolePolicy: { Statement: webIdentity({ ...AUD, "oidc.test/id/X:sub": UNKNOWN }) },
        }),
      ],
      [
        cloudRole({
          Effect: "Allow",
          Principal: { Service: "lambda.amazonaws.com" },
          Action: "sts:AssumeRole*",
        }),
      ],
      [
        cloudRole({
          Effect: "Allow",
          Principal: { AWS: "arn:aws:iam::1:role/ci" },
          Action: "sts:AssumeRole",
        }),
      ],
      [
        cloudRole({
          Effect: "Allow",
          Principal: { AWS: "arn:aws:iam::123456789012:root" },
          Action: "sts:AssumeRole",
          Condition: { ArnEquals: { "aws:PrincipalArn": "arn:aws:iam::123456789012:role/ci" } },
        }),
      ],
      [
        cloudRole({
          Effect: "Allow",
          Principal: { Service: "pods.eks.amazonaws.com" },
          Action: ["sts:AssumeRole", "sts:TagSession"],
        }),
      ],
    ],
    fail: [
      [[cloudRole(webIdentity(AUD))], "bind sub with StringEquals"],
      [[cloudRole(webIdentity({ ...AUD, "oidc.test/id/X:sub": "system:serviceaccount:*:*" }))], "bind sub"],
      [[cloudRole(webIdentity(SUB))], "bind aud"],
      ...["sts:*", "sts:AssumeRole*", "STS:assumerolewithwebidentity"].map(
        (Action): [ResourceView[], string] => [
          [cloudRole({ ...webIdentity(AUD), Action })],
          "bind sub with StringEquals",
        ],
      ),
      [
        [cloudRole({ Effect: "Allow", Principal: { Federated: "arn:oidc" }, NotAction: "sts:TagSession" })],
        "bind sub and aud",
      ],
      [
        [
          cloudRole({
            ...webIdentity({}),
            Condition: { StringEqualsIfExists: SUB, StringEquals: AUD },
          }),
        ],
        "bind sub",
      ],
      [
        [cloudRole(webIdentity({ ...AUD, "oidc.test/id/X:sub": ["system:a", "system:b"] }))],
        "lets 2 ServiceAccounts take it (system:a, system:b); bind sub to one",
      ],
      ...["arn:aws:iam::123456789012:root", "123456789012"].map((AWS): [ResourceView[], string] => [
        [cloudRole({ Effect: "Allow", Principal: { AWS }, Action: "sts:AssumeRole" })],
        `statement 1 lets everybody in the account ${AWS} take it; name the role`,
      ]),
      [
        [cloudRole({ Effect: "Deny", Principal: "*", Action: "sts:TagSession" }, webIdentity(AUD))],
        "statement 2 lets every ServiceAccount",
      ],
      [
        [cloudRole({ Effect: "Allow", Principal: "*", Action: "sts:AssumeRole" })],
        "statement 1 lets everybody take it",
      ],
      [[resource("aws:iam/role:Role", { assumeRolePolicy: "nope" })], "no JSON document"],
    ],
  },
});
