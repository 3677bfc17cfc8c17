// Which etcd this is: the one place for version numbers. The service zone reports them, the edge prints them; nothing here is
// computed.

/** The version of etcd whose behaviour, wire and disk formats this server has. */
export const SERVER_VERSION = "3.7.1";

/** The cluster and storage version that a new cluster of this server decides on. */
export const SERVER_CLUSTER_VERSION = "3.7.0";

/** The oldest cluster version that a member of this version joins. */
export const MIN_CLUSTER_VERSION = "3.0.0";

/** Our own version; the same as in package.json (a test holds them equal). */
export const CAIRN_VERSION = "0.1.0";
