import { UNKNOWN } from "../../../policies/model";
import { image } from "../../support/local-configuration.js";
import {
  claim,
  container,
  cronJob,
  deployment,
  describeRules,
  kubernetes,
  pod,
  podSecured,
  podSpec,
  podWith,
  secured,
} from "../examples.js";

const initContainer = (change: Record<string, unknown>) =>
  deployment(podSpec({ initContainers: [container({ name: "init", ...change })] }));

const withImageVolume = (reference: string) =>
  pod(podSpec({ volumes: [{ name: "model", image: { reference } }] }));

describeRules("pods", {
  "user-not-root": {
    pass: [
      [pod()],
      [deployment()],
      [cronJob()],
      [claim()],
      [secured({ runAsUser: 20_000 })],
      [podSecured({ runAsUser: UNKNOWN })],
    ],
    fail: [
      [[podSecured({ runAsNonRoot: false })], "runAsNonRoot is false"],
      [[podSecured({ runAsNonRoot: undefined })], "runAsNonRoot is not set"],
      [[secured({ runAsNonRoot: false })], "containers/main: runAsNonRoot is false"],
      [[secured({ runAsUser: 0 })], "runAsUser is 0; set securityContext.runAsUser to 10000 or more"],
      [[podSecured({ runAsUser: undefined })], "runAsUser is not set"],
      [[podSecured({ runAsGroup: 100 })], "runAsGroup is 100"],
    ],
  },
  "privileges-not-gained": {
    pass: [
      [pod()],
      [podSecured({ sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] })],
      [secured({ procMount: "Default" })],
    ],
    fail: [
      [[secured({ privileged: true })], "privileged is true"],
      [[secured({ allowPrivilegeEscalation: true })], "allowPrivilegeEscalation is true"],
      [[secured({ allowPrivilegeEscalation: undefined })], "allowPrivilegeEscalation is not set"],
      [[secured({ procMount: "Unmasked" })], "procMount is Unmasked"],
      [
        [secured({ windowsOptions: { hostProcess: true } })],
        "containers/main: windowsOptions.hostProcess is true",
      ],
      [[podSecured({ windowsOptions: { hostProcess: true } })], "windowsOptions.hostProcess is true"],
      [[podSecured({ sysctls: [{ name: "kernel.msgmax", value: "1" }] })], "sysctl kernel.msgmax"],
      [
        [
          initContainer({
            securityContext: { ...(container()["securityContext"] as object), privileged: true },
          }),
        ],
        "initContainers/init: privileged",
      ],
    ],
  },
  "capabilities-dropped": {
    pass: [[pod()], [secured({ capabilities: { drop: ["ALL"], add: [] } })]],
    fail: [
      [[secured({ capabilities: { drop: ["NET_RAW"] } })], 'set securityContext.capabilities.drop: ["ALL"]'],
      [[secured({ capabilities: undefined })], "capabilities are kept"],
      [
        [secured({ capabilities: { drop: ["ALL"], add: ["SYS_ADMIN"] } })],
        "capabilities SYS_ADMIN are added",
      ],
    ],
  },
  "root-read-only": {
    pass: [[pod()], [cronJob()]],
    fail: [
      [[secured({ readOnlyRootFilesystem: undefined })], "readOnlyRootFilesystem is not set"],
      [[secured({ readOnlyRootFilesystem: false })], "readOnlyRootFilesystem is false"],
      [[initContainer({ securityContext: {} })], "initContainers/init: readOnlyRootFilesystem"],
    ],
  },
  "seccomp-set": {
    pass: [
      [pod()],
      [podSecured({ seccompProfile: { type: "Localhost", localhostProfile: "x.json" } })],
      [secured({ appArmorProfile: { type: "RuntimeDefault" } })],
      [secured({ seLinuxOptions: { type: "container_t", level: "s0:c1,c2" } })],
    ],
    fail: [
      [[podSecured({ seccompProfile: undefined })], "seccompProfile.type is not set"],
      [[secured({ seccompProfile: { type: "Unconfined" } })], "seccompProfile.type is Unconfined"],
      [[secured({ appArmorProfile: { type: "Unconfined" } })], "appArmorProfile.type is Unconfined"],
      [[secured({ seLinuxOptions: { role: "sysadm_r" } })], "seLinuxOptions names a user or role"],
      [[podSecured({ seLinuxOptions: { type: "spc_t" } })], "seLinuxOptions.type is spc_t; leave it out"],
      [
        [
          pod(podSpec(), {
            annotations: { "container.apparmor.security.beta.kubernetes.io/main": "unconfined" },
          }),
        ],
        "turns AppArmor off",
      ],
    ],
  },
  "host-not-shared": {
    pass: [[pod()], [podWith({ ports: [{ containerPort: 80 }] })]],
    fail: [
      [[pod(podSpec({ hostNetwork: true }))], "hostNetwork is true"],
      [[pod(podSpec({ hostPID: true }))], "hostPID is true"],
      [[pod(podSpec({ hostIPC: true }))], "hostIPC is true"],
      [
        [pod(podSpec({ volumes: [{ name: "root", hostPath: { path: "/" } }] }))],
        "volume root is the host's /; use a claim",
      ],
      [[podWith({ ports: [{ containerPort: 80, hostPort: 80 }] })], "port 80 of the host"],
      [[pod(podSpec({ volumes: [{ name: "share", nfs: { server: "x" } }] }))], "volume share is of kind nfs"],
      [[podWith({ volumeDevices: [{ name: "d", devicePath: "/dev/sda" }] })], "block device /dev/sda"],
      [[cronJob({}, { template: { spec: podSpec({ hostPID: true }) } })], "hostPID is true"],
    ],
  },
  "image-by-digest": {
    pass: [[pod()], [cronJob()], [podWith({ image: UNKNOWN })], [withImageVolume(image("model"))]],
    fail: [
      [[podWith({ image: "example.test/main:1" })], "image example.test/main:1 has no digest"],
      [[podWith({ image: "example.test/main@sha256:abc" })], "has no digest"],
      [[withImageVolume("example.test/model:1")], "volumes/model: image example.test/model:1 has no digest"],
      [[podWith({ image: image("main").replace("@", ":latest@") })], "is called latest"],
      [[initContainer({ image: undefined })], "initContainers/init: image undefined has no digest"],
    ],
  },
  "resources-bounded": {
    pass: [[pod()], [pod(podSpec({ volumes: [{ name: "t", emptyDir: { sizeLimit: "1Gi" } }] }))]],
    fail: [
      [[podWith({ resources: {} })], "requests.cpu, requests.memory, limits.memory"],
      [
        [
          podWith({
            resources: {
              requests: { cpu: "1", memory: "1Gi", "ephemeral-storage": "1" },
              limits: { "ephemeral-storage": "1" },
            },
          }),
        ],
        "resources lack limits.memory",
      ],
      [[pod(podSpec({ volumes: [{ name: "t", emptyDir: {} }] }))], "volume t is an emptyDir without end"],
    ],
  },
  "environment-unambiguous": {
    pass: [
      [pod()],
      [
        podWith({
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "1" },
          ],
        }),
      ],
    ],
    fail: [
      [
        [
          podWith({
            env: [
              { name: "A", value: "1" },
              { name: "A", value: "2" },
            ],
          }),
        ],
        "variable A is set twice",
      ],
    ],
  },
  "service-probed": {
    pass: [
      [deployment()],
      [pod(podSpec({ containers: [container({ ports: [{ containerPort: 1 }] })] }))],
      [
        deployment(
          podSpec({
            containers: [
              container({ ports: [{ containerPort: 1 }], readinessProbe: { tcpSocket: { port: 1 } } }),
            ],
          }),
        ),
      ],
    ],
    fail: [
      [
        [deployment(podSpec({ containers: [container({ ports: [{ containerPort: 1 }] })] }))],
        "containers/main: no readinessProbe",
      ],
      [
        [
          kubernetes("apps/v1", "StatefulSet", {
            spec: {
              template: { spec: podSpec({ containers: [container({ ports: [{ containerPort: 1 }] })] }) },
            },
          }),
        ],
        "no readinessProbe",
      ],
    ],
  },
});
