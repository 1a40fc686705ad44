import type { ResourceRule } from "../../model";
import { at, is, isSet, kindOf, objects, shown, texts } from "../../model";

export const serviceInside: ResourceRule = {
  name: "service-inside",
  subject: "network",
  description: "Nothing of the storage is offered outside the cluster but over TLS and on purpose.",
  level: "mandatory",
  severity: "high",
  appliesTo: (resource) => ["Service", "Ingress"].includes(kindOf(resource) ?? ""),
  check(resource) {
    const spec = at(resource.props, "spec");
    if (kindOf(resource) === "Ingress") {
      return objects(at(spec, "tls")).length > 0 ? [] : ["it answers without TLS; set spec.tls"];
    }
    const type = at(spec, "type");
    const problems: string[] = [];
    if (isSet(type) && !is(type, "ClusterIP", "ExternalName")) {
      problems.push(`type is ${shown(type)}, which opens it to outside the cluster; leave it out`);
    }
    if (texts(at(spec, "externalIPs")).length > 0) {
      problems.push("externalIPs take traffic that isn't the Service's (CVE-2020-8554); leave them out");
    }
    return problems;
  },
};
