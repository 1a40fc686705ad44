import { describe, expect, it } from "vitest";

import { parseCleanupConfig } from "@video-storage/contract/cleanup-config";
import { parseStackContract } from "@video-storage/contract/stack-contract";

import { selectorLabels } from "../../components/lib/labels.js";
import {
  buildExporter,
  buildExporterConfigMap,
  buildExporterService,
  buildPushgateway,
  buildPushgatewayService,
  buildWorkerMetricsService,
} from "../../components/lib/monitoring-workloads.js";
import { buildServiceMonitors } from "../../components/lib/service-monitors.js";
import { buildWorkerPod } from "../../components/lib/worker-pod.js";
import { RETENTION, stackContract } from "../support/documents.js";
import { image } from "../support/local-configuration.js";

const contract = stackContract();
const cleanupConfig = parseCleanupConfig({
  ...{ version: 1, retention: RETENTION, heartbeatTimeoutSeconds: 60, namespace: "video" },
  ...{ catalogue: contract.catalogue, objectStorage: null, checkPods: true },
  pressure: {
    bytes: { highWaterPercent: 85, lowWaterPercent: 70 },
    inodes: { highWaterPercent: 85, lowWaterPercent: 70 },
  },
});
const args = {
  ...{ environment: "test", namespace: "video", systemNamespace: "storage", workerPort: 9401 },
  ...{ image: image("monitor"), pushgatewayImage: image("pushgateway") },
  ...{ contract, cleanupConfig, catalogueCa: null },
};

const selects = (selector: Record<string, string>, labels: Record<string, string>): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

describe("the exporter", () => {
  it("finds its documents where the program looks for them, and the programs can read them", () => {
    const { data } = buildExporterConfigMap({ ...args, catalogueCa: "PEM" });
    expect(Object.keys(data)).toEqual(["contract.json", "cleanup.json", "catalogue-ca.crt"]);
    expect(parseStackContract(JSON.parse(data["contract.json"]!))).toEqual(contract);
    expect(parseCleanupConfig(JSON.parse(data["cleanup.json"]!))).toEqual(cleanupConfig);
    const { containers } = buildExporter(args).spec.template.spec;
    expect(containers[0]!.volumeMounts).toEqual([
      { name: "documents", mountPath: "/etc/video-storage", readOnly: true },
      { name: "catalogue", mountPath: "/run/secrets/catalogue", readOnly: true },
    ]);
  });

  it("is replaced when the catalogue is elsewhere, and not when a time is another", () => {
    const sooner = { ...cleanupConfig, retention: { ...RETENTION, uploadedSeconds: 1 } };
    const moved = stackContract({ catalogue: { ...contract.catalogue, host: "10.0.0.9" } });
    const template = (change: Partial<typeof args>) => buildExporter({ ...args, ...change }).spec.template;
    expect(template({ cleanupConfig: sooner })).toEqual(template({}));
    expect(template({ contract: moved })).not.toEqual(template({}));
  });
});

describe("the Pushgateway", () => {
  it("is one at a time, and keeps what was pushed when its container is restarted", () => {
    const { spec } = buildPushgateway(args, image("pushgateway"));
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
    const { containers, volumes } = spec.template.spec;
    expect(containers[0]!.args).toContain("--persistence.file=/data/metrics");
    expect(containers[0]!.volumeMounts).toEqual([{ name: "data", mountPath: "/data" }]);
    expect(volumes).toEqual([{ name: "data", emptyDir: { sizeLimit: "96Mi" } }]);
  });
});

describe("the Services", () => {
  it("lead to the pods of their own role, and the workers' to those that serve metrics alone", () => {
    const exporter = buildExporter(args).spec.template.metadata.labels;
    const pushgateway = buildPushgateway(args, image("p")).spec.template.metadata.labels;
    const ofWorker = (metrics: boolean) =>
      buildWorkerPod({ contract, slot: "node-0-slot-0", tenant: "acme", image: image("w"), metrics }).metadata
        .labels;
    const pods = { exporter, pushgateway, serving: ofWorker(true), silent: ofWorker(false) };
    const found = [buildExporterService, buildPushgatewayService, buildWorkerMetricsService].map((build) => {
      const { selector } = build(args).spec;
      return Object.keys(pods).filter((pod) => selects(selector, pods[pod as keyof typeof pods]));
    });
    expect(found).toEqual([["exporter"], ["pushgateway"], ["serving"]]);
  });
});

describe("Prometheus' operator", () => {
  it("is told of each Service, once, where it lies", () => {
    const services = [buildPushgatewayService, buildExporterService, buildWorkerMetricsService].map((build) =>
      build(args),
    );
    const monitors = buildServiceMonitors(args);
    const found = monitors.map(({ spec }) =>
      services
        .filter(({ metadata }) => spec.namespaceSelector.matchNames.includes(metadata.namespace))
        .filter(({ metadata }) => selects(spec.selector.matchLabels, metadata.labels))
        .map(({ metadata }) => metadata.name),
    );
    expect(found).toEqual([["pushgateway"], ["exporter"], ["worker-metrics"]]);
    for (const { spec } of monitors) expect(spec.endpoints[0]).toMatchObject({ port: "metrics" });
  });

  it("keeps the labels that sweeps gave to what they pushed, and nobody else's", () => {
    const honours = buildServiceMonitors(args).map(({ metadata, spec }) => [
      metadata.name,
      (spec.endpoints[0] as { honorLabels?: boolean }).honorLabels === true,
    ]);
    expect(Object.fromEntries(honours)).toEqual({
      ...{ "video-storage-pushgateway": true, "video-storage-exporter": false },
      ...{ "video-storage-worker": false },
    });
  });

  it("isn't told of a Pushgateway that isn't the stack's", () => {
    const names = buildServiceMonitors({ ...args, pushgatewayImage: null }).map((one) => one.metadata.name);
    expect(names).toEqual(["video-storage-exporter", "video-storage-worker"]);
  });

  it("takes the labels of a role, which no other environment's have", () => {
    const [ofPushgateway] = buildServiceMonitors(args);
    expect(ofPushgateway!.spec.selector.matchLabels).toMatchObject(selectorLabels("test", "pushgateway"));
  });
});
