import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { imageLoaderFor } from "../../local/environment/hosted/image-loading.js";
import {
  deleteKindCluster,
  ensureKindCluster,
  exists,
  kindClusterOf,
  stopKindCluster,
} from "../../local/environment/hosted/kind.js";
import { fakePrograms } from "./fake-programs.js";
import type { FakePrograms } from "./fake-programs.js";

// What kind answers, with a file standing for the cluster. That real kind and Docker do what these are told was
// not shown here: this project's machines have no Docker engine.
const FAKE_KIND = `
cluster="$(dirname "$0")/cluster"
case "$1 $2" in
  "create cluster") [ ! -e "$cluster" ] || exit 1; echo "$4" > "$cluster" ;;
  "delete cluster") rm -f "$cluster" ;;
  "get clusters") if [ -e "$cluster" ]; then cat "$cluster"; else echo "No kind clusters found." >&2; fi ;;
  "get nodes") echo "$4-control-plane"; echo "$4-worker" ;;
esac`;

const CLUSTER = kindClusterOf("demo", "/state/demo");
const NAME = CLUSTER.name;

describe("a cluster that kind makes", () => {
  let programs: FakePrograms;
  beforeEach(async () => {
    programs = await fakePrograms({ kind: FAKE_KIND, docker: "" });
  });
  afterEach(() => programs.remove());

  it("is named after the environment, and differs between checkouts", () => {
    expect(NAME).toMatch(/^video-storage-demo-[0-9a-f]{6}$/);
    expect(kindClusterOf("demo", "/elsewhere/demo").name).not.toBe(NAME);
    expect(CLUSTER).toEqual({
      name: NAME,
      context: `kind-${NAME}`,
      kubeconfig: "/state/demo/kind.kubeconfig",
    });
  });

  it("is created with a kubeconfig of its own, stopped, started again and deleted", async () => {
    await ensureKindCluster(CLUSTER, () => {});
    expect(await exists(CLUSTER)).toBe(true);
    await stopKindCluster(CLUSTER);
    await ensureKindCluster(CLUSTER, () => {});
    expect(await deleteKindCluster(CLUSTER)).toBe(true);
    expect(await deleteKindCluster(CLUSTER)).toBe(false);
    const nodes = `${NAME}-control-plane ${NAME}-worker`;
    expect(await programs.calls()).toEqual([
      "kind get clusters",
      `kind create cluster --name ${NAME} --kubeconfig /state/demo/kind.kubeconfig --wait 3m`,
      "kind get clusters",
      `kind get nodes --name ${NAME}`,
      `docker stop ${nodes}`,
      "kind get clusters",
      `kind get nodes --name ${NAME}`,
      `docker start ${nodes}`,
      `kind export kubeconfig --name ${NAME} --kubeconfig /state/demo/kind.kubeconfig`,
      "kind get clusters",
      `kind delete cluster --name ${NAME} --kubeconfig /state/demo/kind.kubeconfig`,
      "kind get clusters",
    ]);
  });

  it("that cannot be created says why, and the way on", async () => {
    await programs.replace("kind", '[ "$1" = get ] || { echo "no space left" >&2; exit 1; }');
    await expect(ensureKindCluster(CLUSTER, () => {})).rejects.toMatchObject({
      message: expect.stringMatching(
        new RegExp(`^kind could not create the cluster ${NAME}: .*no space left$`, "s"),
      ),
      remedy: "Mend what it says, or build a cluster without kind: npm start -- --build.",
    });
  });

  it("takes images by kind's own loader", async () => {
    await imageLoaderFor(CLUSTER.context, undefined)("/images/a b.tar");
    expect(await programs.calls()).toEqual([`kind load image-archive --name ${NAME} /images/a b.tar`]);
  });

  it("takes images by the user's loader where one is given", async () => {
    await programs.replace("load", 'for word in "$@"; do echo "$word" >> "$(dirname "$0")/calls"; done');
    await imageLoaderFor("dev", "load --into dev {}")("/images/it's a.tar");
    expect(await programs.calls()).toEqual([
      "load --into dev /images/it's a.tar",
      "--into",
      "dev",
      "/images/it's a.tar",
    ]);
  });

  it("refuses a context without a way for images, and a loader without a place for the archive", () => {
    expect(() => imageLoaderFor("dev", undefined)).toThrow(
      "The images are built here, and nothing says how they reach the nodes of context dev.",
    );
    expect(() => imageLoaderFor("dev", "load")).toThrow(
      "--image-loader 'load' has no {} for the path of the archive.",
    );
  });
});
