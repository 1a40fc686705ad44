import type { ResourceRule } from "../../model";
import { at, objects } from "../../model";
import { eachContainer, makesPods, podTemplateOf } from "../../workloads";

/** The kinds of volume that the restricted Pod Security Standard of Kubernetes 1.34 lets a pod have. */
const VOLUME_KINDS = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

export const hostNotShared: ResourceRule = {
  name: "host-not-shared",
  subject: "pods",
  description:
    "Pods share no namespace, path, device or port with their node: a quota or a policy that the host doesn't see is no limit.",
  level: "mandatory",
  severity: "critical",
  appliesTo: makesPods,
  check(resource) {
    const { spec } = podTemplateOf(resource);
    const shared = ["hostNetwork", "hostPID", "hostIPC"].filter((field) => spec[field] === true);
    const volumes = objects(spec["volumes"]);
    const mounted = volumes.filter((volume) => volume["hostPath"] !== undefined);
    const strange = volumes.flatMap((volume) =>
      Object.keys(volume)
        .filter((kind) => kind !== "name" && kind !== "hostPath" && !VOLUME_KINDS.has(kind))
        .map((kind) => `volume ${String(volume["name"])} is of kind ${kind}; use a claim`),
    );
    return [
      ...shared.map((field) => `${field} is true; leave it out`),
      ...mounted.map(
        (volume) =>
          `volume ${String(volume["name"])} is the host's ${String(at(volume, "hostPath", "path"))}; use a claim`,
      ),
      ...strange,
      ...eachContainer(resource, ({ container }) => [
        ...objects(container["ports"])
          .filter((port) => typeof port["hostPort"] === "number" && port["hostPort"] !== 0)
          .map(
            (port) =>
              `port ${String(port["hostPort"])} of the host is taken; leave hostPort out and use a Service`,
          ),
        ...objects(container["volumeDevices"]).map(
          (device) => `block device ${String(device["devicePath"])} is given; mount a filesystem`,
        ),
      ]),
    ];
  },
};
