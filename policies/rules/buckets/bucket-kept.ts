import type { ResourceRule } from "../../model";

const TYPES = ["aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2", "aws:kms/key:Key"];

export const bucketKept: ResourceRule = {
  name: "bucket-kept",
  subject: "buckets",
  description:
    "The engine refuses to delete a bucket or its key, and a bucket that isn't empty: what is in it exists once.",
  level: "mandatory",
  severity: "critical",
  limits: ["disposableBuckets"],
  appliesTo: ({ type }) => TYPES.includes(type),
  check({ props, protect }, { disposableBuckets }) {
    if (disposableBuckets) return [];
    const problems: string[] = [];
    if (props["forceDestroy"] === true) problems.push("forceDestroy is true; leave it out");
    if (protect === false) problems.push("it isn't protected; set the resource option protect: true");
    return problems;
  },
};
