import { describe, expect, it } from "vitest";

import { UNKNOWN } from "../../../policies/model";
import {
  deployment,
  describeRules,
  kubernetes,
  messages,
  podWith,
  resource,
  ruleNamed,
} from "../examples.js";

type Props = Record<string, unknown>;

// Put together here, so that nobody who scans this file takes one for real.
const PASSWORD = ["hunter", "2-hunter", "2"].join("");
const URL_WITH_PASSWORD = ["postgresql://u", `${PASSWORD}@db/x`].join(":");

const withEnv = (...env: Props[]) => podWith({ env });
const configMap = (data: Props, metadata: Props = {}) =>
  kubernetes("core/v1", "ConfigMap", { metadata, data });
const encoded = (text: string) => Buffer.from(text).toString("base64");
const binaryMap = (binaryData: Props) => kubernetes("core/v1", "ConfigMap", { binaryData });
const secret = (props: Props, secretPaths?: string[]) =>
  kubernetes("core/v1", "Secret", props, secretPaths && { secretPaths: new Set(secretPaths) });

const environment = {
  pass: [
    [
      withEnv(
        { name: "LOG_LEVEL", value: "info" },
        { name: "ROOT_PASSWORD_FILE", value: "/run/secrets/root" },
      ),
    ],
    [withEnv({ name: "ENDPOINT", value: "http://object-storage:9000" })],
    [withEnv({ name: "SECRET_NAME", value: "catalogue" }, { name: "TOKEN_TTL", value: "60" })],
    [withEnv({ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } })],
    [podWith({ args: ["sweep", "--token-file=/run/secrets/token"] })],
    [podWith({ args: ["--credentials", "/run/secrets/credentials", "--require-token", "sweep"] })],
    [podWith({ args: ["--password-file", "--verbose-logging", "--token"] })],
    [
      withEnv(
        ...["MAX_TOKENS", "TOKENIZERS_PARALLELISM", "PASSWORD_MIN_LENGTH", "TOKENS_PER_MINUTE"].map(
          (name) => ({
            name,
            value: "4096",
          }),
        ),
        { name: "CATALOGUE_SECRET_ID", value: "arn:aws:secretsmanager:eu-west-1:1:secret:catalogue" },
      ),
    ],
  ],
  fail: [
    [[withEnv({ name: "DB_PASSWORD", value: PASSWORD })], "variable DB_PASSWORD looks like a secret"],
    [[withEnv({ name: "AWS_SECRET_ACCESS_KEY", value: PASSWORD })], "AWS_SECRET_ACCESS_KEY"],
    [[withEnv({ name: "DATABASE", value: URL_WITH_PASSWORD })], "variable DATABASE holds credentials"],
    [
      [withEnv({ name: "X", valueFrom: { secretKeyRef: { name: "s", key: "k" } } })],
      "takes a Secret into the environment",
    ],
    [[podWith({ envFrom: [{ secretRef: { name: "s" } }] })], "envFrom takes a Secret"],
    [[podWith({ args: [URL_WITH_PASSWORD] })], "an argument holds credentials"],
    [[podWith({ command: ["run", `--password=${PASSWORD}`] })], "option password looks like a secret"],
    [[podWith({ args: ["--password", PASSWORD] })], "option password looks like a secret"],
    [[podWith({ command: ["run", "--db-password"], args: [PASSWORD] })], "option db-password looks like"],
    ...[
      "VAULT_SECRET_ID",
      "PGPASSWORD",
      "TOKEN_VALID",
      "authToken",
      "api-key",
      "DB_PASSWORD2",
      "PASSWORDS",
    ].map((name): [ReturnType<typeof podWith>[], string] => [
      [withEnv({ name, value: PASSWORD })],
      `variable ${name} looks like a secret`,
    ]),
  ] as [ReturnType<typeof podWith>[], string][],
};

describeRules("secrets", {
  "no-secret-in-environment": environment,
  "no-secret-in-config-map": {
    pass: [
      [configMap({ "config.json": JSON.stringify({ catalogueSecret: "catalogue-worker", port: 5432 }) })],
      [configMap({ notes: "see the password file", "token-ttl": "60" })],
      [binaryMap({ "frame.bin": Buffer.from([0, 255, 1]).toString("base64") })],
      [deployment()],
    ],
    fail: [
      [[configMap({ password: PASSWORD })], "key password looks like a secret"],
      [[configMap({ url: URL_WITH_PASSWORD })], "key url holds credentials"],
      [[binaryMap({ password: encoded(PASSWORD) })], "key password looks like a secret"],
      [[binaryMap({ url: encoded(URL_WITH_PASSWORD) })], "key url holds credentials"],
      [
        [
          kubernetes("apps/v1", "Deployment", {
            spec: { template: { metadata: { annotations: { note: URL_WITH_PASSWORD } } } },
          }),
        ],
        "spec.template.metadata.annotations.note holds credentials",
      ],
      [
        [configMap({ "config.json": JSON.stringify({ a: { password: PASSWORD } }) })],
        "key config.json holds credentials",
      ],
      [
        [configMap({}, { annotations: { note: URL_WITH_PASSWORD } })],
        "metadata.annotations.note holds credentials",
      ],
      [
        [configMap({}, { labels: { key: ["AKIA", "A".repeat(16)].join("") } })],
        "metadata.labels.key holds credentials",
      ],
    ],
  },
  "secret-kept-secret": {
    pass: [
      [secret({ stringData: { password: PASSWORD } }, ["stringData.password"])],
      [secret({ stringData: { password: PASSWORD } }, ["stringData"])],
      [secret({ data: { password: UNKNOWN } }, [])],
      [secret({ stringData: { password: PASSWORD } })],
    ],
    fail: [
      [
        [secret({ stringData: { a: "1", password: PASSWORD } }, ["stringData.a"])],
        "stringData.password is kept in clear",
      ],
      [
        [resource("pulumi:providers:kubernetes", { kubeconfig: "x" }, { secretPaths: new Set() })],
        "kubeconfig is kept in clear",
      ],
    ],
  },
});

describe("a message about a secret", () => {
  it("never repeats its value", () => {
    const all = environment.fail.flatMap(([resources]) =>
      messages(ruleNamed("no-secret-in-environment"), resources),
    );
    expect(all.length).toBeGreaterThan(5);
    expect(all.join()).not.toContain(PASSWORD);
  });
});
