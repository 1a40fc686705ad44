import type { ResourceRule } from "../../model";
import { at, objects } from "../../model";
import { eachContainer, makesPods, podTemplateOf } from "../../workloads";

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
    const mounted = objects(spec["volumes"]).filter((volume) => volume["hostPath"] !== undefined);
    return [
      ...shared.map((field) => `${field} is true; leave it out`),
      ...mounted.map(
        (volume) =>
          `volume ${String(volume["name"])} is the host's ${String(at(volume, "hostPath", "path"))}; use a claim`,
      ),
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
