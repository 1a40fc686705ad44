import { createHash } from "node:crypto";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildUploaderPod } from "../../../components/lib/uploader-pod.js";
import { buildWorkerPod } from "../../../components/lib/worker-pod.js";
import { unpackDebianPackages } from "../../../local/build/debian-packages.js";
import { buildPrograms } from "../../../local/build/programs.js";
import { containerdClient, importImages } from "../../../local/environment/node-images.js";
import { buildExampleWorker } from "../../../local/images/example-worker.js";
import { cacheDirectory } from "../../../local/paths.js";
import { environmentWithoutJobs, nodeCommand } from "../../support/running-environment.js";
import type { RunningEnvironment, TestPods } from "../../support/running-environment.js";
import { slotsForThisFile } from "../../support/slots-for-this-file.js";

// Workers in other languages, on a real kubelet, as the stack's pods run: no root, a read-only root filesystem, their
// slot's user, their tenant's Secrets.

const BYTES = 3_000_000;
const CONTENT = Buffer.alloc(BYTES, "0123456789abcdef-");
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");

let environment: RunningEnvironment;
let pods: TestPods;
let image: string;

slotsForThisFile();
beforeAll(async () => {
  environment = await environmentWithoutJobs();
  pods = environment.pods();
  const programs = await buildPrograms();
  const sources = {
    directory: join(cacheDirectory(), "images"),
    programs,
    debian: await unpackDebianPackages(),
  };
  const built = await buildExampleWorker(sources, () => {});
  const ctr = containerdClient(environment.node, programs);
  await importImages(environment.stateDirectory, [{ name: "node-0", ctr }], [built]);
  image = built.reference;
}, 600_000);

afterAll(() => pods?.close());

/** A container beside the worker that serves the video to it alone, and ends with it. */
function withSource(pod: ReturnType<typeof buildWorkerPod>, status = 200): ReturnType<typeof buildWorkerPod> {
  const [worker] = pod.spec.containers;
  const script = `
    import http from "node:http";
    // A container's first process has no default for it, and the pod would wait.
    process.once("SIGTERM", () => process.exit(0));
    const content = Buffer.alloc(${BYTES}, "0123456789abcdef-");
    http.createServer((request, response) => {
      response.writeHead(${status}, { "content-length": content.length }).end(content);
    }).listen(8000, "127.0.0.1");`;
  const source = {
    ...worker!,
    name: "source",
    image: environment.images.demoWorker,
    command: nodeCommand(script),
    args: [],
    env: [],
    volumeMounts: [],
    restartPolicy: "Always",
  };
  return { ...pod, spec: { ...pod.spec, initContainers: [source] } } as never;
}

const pod = (command: readonly string[], slot: number, status?: number) =>
  withSource(
    buildWorkerPod({
      ...{ contract: environment.contract, image, command, tenant: "acme" },
      slot: environment.contract.slots[slot]!.name,
      env: [{ name: "VIDEO_URL", value: "http://127.0.0.1:8000/video.mp4" }],
    }),
    status,
  );

/** What the upload worker gets, by the command too: the catalogue, the volume and the groups have to allow it. */
async function fetched(name: string, slot: number, jobId: string): Promise<Record<string, unknown>> {
  const script = `set -e
    video-job fetch --job ${jobId} source.mp4 > /dev/null
    sum=$(video-job fetch --job ${jobId} source.mp4 | sha256sum | cut -d ' ' -f 1)
    video-job uploaded --job ${jobId} > /dev/null
    echo "{\\"event\\":\\"result\\",\\"sum\\":\\"$sum\\",\\"shown\\":$(video-job show --job ${jobId} --json)}"`;
  const { contract } = environment;
  const uploader = buildUploaderPod({
    ...{ contract, image, command: ["/bin/sh", "-c", script], tenant: "acme" },
    slot: contract.slots[slot]!.name,
  });
  return pods.result(name, uploader);
}

describe("a worker in another language, in a pod of the stack", () => {
  it.each([
    ["python", ["/usr/bin/python3", "/examples/python-worker/worker.py"], 0, "facts.json"],
    ["shell", ["/bin/sh", "/examples/shell-worker/worker.sh"], 1, "source.sha256"],
  ])(
    "%s: fetches a video, completes the job, and the upload worker gets every byte",
    async (name, command, slot, beside) => {
      const created = await pods.create(name, pod(command, slot));
      const { jobId } = await pods.said(created);
      expect(await pods.ended(created)).toBe(true);
      const result = await fetched(`${name}-upload`, slot, String(jobId));
      expect(result).toMatchObject({
        sum: SHA256,
        shown: {
          record: {
            ...{ state: "completed", tenantId: "acme" },
            files: { "source.mp4": { bytes: BYTES, sha256: SHA256 }, [beside]: {} },
          },
          catalogue: { state: "uploaded", location: "local" },
        },
      });
    },
  );

  it.each([
    ["python", ["/usr/bin/python3", "/examples/python-worker/worker.py"], 0],
    ["shell", ["/bin/sh", "/examples/shell-worker/worker.sh"], 1],
  ])("%s: whose source is not to be had ends with an error", async (name, command, slot) => {
    const created = await pods.create(`${name}-refused`, pod(command, slot, 503));
    expect(await pods.ended(created)).toBe(false);
  });
});
