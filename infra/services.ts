import type { ServiceOpening } from "../components/lib/network-policies.js";
import type { StackConfig } from "./config.js";

/** Where EKS Pod Identity hands a pod the credentials of its own role; IRSA asks the cloud's STS instead. */
const POD_IDENTITY_AGENT = { host: "169.254.170.23", port: 80 };

/** What pods of the workers' namespace reach besides the catalogue and a bucket in the cluster. */
export function servicesOf({ scan, objectStorage, monitoring }: StackConfig): ServiceOpening[] {
  const users = ["worker", "uploader", "cleanup"] as const;
  const services: ServiceOpening[] = [];
  // A source is scanned before it leaves its volume, by whoever would make it leave.
  if (scan) services.push({ name: "scanner", roles: users, host: scan.host, port: scan.port });
  if (monitoring?.pushgatewayUrl != null) {
    services.push({ name: "pushgateway", roles: ["cleanup"], ...hostAndPort(monitoring.pushgatewayUrl) });
  }
  if (objectStorage.backend === "aws") {
    services.push(
      { name: "object-storage", roles: users, host: `s3.${objectStorage.region}.amazonaws.com`, port: 443 },
      { name: "pod-identity", roles: users, ...POD_IDENTITY_AGENT },
    );
  }
  if (objectStorage.backend === "s3") {
    services.push({ name: "object-storage", roles: users, ...hostAndPort(objectStorage.endpoint) });
  }
  return services;
}

function hostAndPort(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || (protocol === "http:" ? 80 : 443)),
  };
}
