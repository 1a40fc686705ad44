/**
 * What a container gets that asks for nothing, as an entry of a LimitRange. Ephemeral storage is the node's
 * own disk: what belongs on a volume must not go there.
 */
export const CONTAINER_DEFAULTS = {
  type: "Container",
  defaultRequest: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "16Mi" },
  default: { memory: "512Mi", "ephemeral-storage": "128Mi" },
} as const;
