import { Agent } from "node:https";

import { S3Client } from "@aws-sdk/client-s3";
import type { CoreV1Api } from "@kubernetes/client-node";
import type { StackContract } from "@video-storage/contract/stack-contract";

const SERVICE = { namespace: "video-storage", name: "object-storage" };

/**
 * A client of the S3 server in a cluster of ours, with the access key of a Secret. It goes by the Service's address,
 * because this machine doesn't know the cluster's names, and checks the certificate by the name all the same.
 */
export async function clientOfCluster(
  core: CoreV1Api,
  contract: StackContract,
  secret: { namespace: string; name: string },
): Promise<{ client: S3Client; bucket: string; address: string }> {
  const { data } = await core.readNamespacedSecret(secret);
  const value = (key: string) => Buffer.from(data![key]!, "base64").toString();
  const service = await core.readNamespacedService(SERVICE);
  const address = `${service.spec!.clusterIP}:${service.spec!.ports![0]!.port}`;
  const { bucket, region } = contract.objectStorage!;
  return {
    bucket,
    address,
    client: new S3Client({
      endpoint: `https://${address}`,
      requestHandler: {
        httpsAgent: new Agent({
          ca: value("ca.crt"),
          servername: `${SERVICE.name}.${SERVICE.namespace}.svc`,
        }),
      },
      region,
      forcePathStyle: true,
      credentials: { accessKeyId: value("accessKeyId"), secretAccessKey: value("secretAccessKey") },
    }),
  };
}
