/** Namespace of what stands beside the stack on such a cluster: database, monitoring, the video's site. */
export const SERVICES_NAMESPACE = "video-storage-local";

/** Where the files behind the slots and the database's data lie on the node. */
export const NODE_DIRECTORY = "/var/lib/video-storage-local";

/** Where the slots are mounted on the node. */
export const HOSTED_SLOTS_DIRECTORY = "/mnt/video-storage-local";

/** The database's data, below {@link NODE_DIRECTORY}. */
export const POSTGRES_DIRECTORY = "postgres";

/** The user that the services' images run as. */
export const SERVICE_USER = 10_000;
