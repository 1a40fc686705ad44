/** Name of the ConfigMap or the PrometheusRule with the rules. */
export const ALERTS_CONFIG_MAP = "video-storage-alerts";

/** The rules' file in that ConfigMap. JSON, which is YAML too. */
export const ALERTS_FILE = "video-storage.rules.yml";
