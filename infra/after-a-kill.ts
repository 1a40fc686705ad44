/**
 * For one run after a killed engine (docs/environments.md). The provider's plugin reads them from its own surroundings;
 * the SDK would write them into the state too, and the next run would have the provider to change.
 */
export const AFTER_A_KILL = ["PULUMI_K8S_UPSERT_EXISTING_OBJECTS", "PULUMI_K8S_ENABLE_PATCH_FORCE"] as const;
