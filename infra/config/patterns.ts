import { isCronSchedule } from "@video-storage/contract/cron-schedule";

import { text } from "../checks.js";

const DNS_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
export const LABEL_KEY =
  /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const CIDR =
  /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!\/)|(?=\/))){4}\/(?:3[0-2]|[12]?\d)$|^[0-9a-f:]+\/\d{1,3}$/;

/** The texts that more than one key may hold. */

export const namespaceName = text(
  new RegExp(`^(?=.{1,40}$)${DNS_LABEL}$`),
  "a Kubernetes namespace of at most 40 lower-case letters, digits and hyphens",
);
export const nodeName = text(
  new RegExp(`^(?=.{1,40}$)${DNS_LABEL}(?:\\.${DNS_LABEL})*$`),
  "a node's name (its kubernetes.io/hostname label), at most 40 characters",
);
export const poolName = text(
  new RegExp(`^(?=.{1,30}$)${DNS_LABEL}$`),
  "a pool's name of at most 30 lower-case letters, digits and hyphens",
);
export const objectName = text(
  new RegExp(`^(?=.{1,63}$)${DNS_LABEL}(?:\\.${DNS_LABEL})*$`),
  "the name of an object in the cluster",
);
export const labelValue = text(/^(?=.{1,63}$)[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/, "a label's value");
export const path = text(
  /^(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)+$/,
  "an absolute path without . or .. and without a slash at its end",
);
export const devicePattern = text(
  /^\/dev(?:\/(?!\.{1,2}\/)[\w.:+-]+)*\/(?!\.{1,2}$)[\w.:*+-]+$/,
  "a path below /dev, in whose last part * stands for any characters",
);
export const image = text(
  /^[a-z0-9][a-z0-9._:/-]*@sha256:[a-f0-9]{64}$/,
  "an image by digest: name@sha256: and 64 hexadecimal digits",
);
export const bucketName = text(
  /^(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
  "a bucket name of 3 to 63 lower-case letters, digits and hyphens",
);
export const region = text(/^[a-z0-9-]{1,40}$/, "a region such as us-east-1");
export const hostName = text(/^[A-Za-z0-9](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?$/, "a host name or address");
export const cidr = text(CIDR, "a CIDR such as 203.0.113.0/24");
export const cronSchedule = text(
  { test: isCronSchedule },
  "a cron schedule of five numeric fields such as */10 * * * *, with the day of the week from 0, Sunday, to 6",
);
export const timeZone = text(/^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+)*$/, "a time zone such as Etc/UTC");
export const certificates = text(
  /^-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*$/,
  "certificates as PEM",
);
