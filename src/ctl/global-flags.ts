// The flags that every command of etcdctl takes; hidden in helps, `etcdctl options` shows them.
import type { FlagSpec } from "../cli/flag.ts";
import { bool, string } from "./specs.ts";

const SECOND = 1_000_000_000n;

export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: "endpoints", kind: "stringSlice", usage: "gRPC endpoints", value: ["127.0.0.1:2379"] },
  bool("debug", "enable client-side debug logging"),
  {
    ...string("write-out", "set the output format (fields, json, protobuf, simple, table)", "simple"),
    short: "w",
  },
  bool("hex", "print byte strings as hex encoded strings"),
  {
    name: "dial-timeout",
    kind: "duration",
    usage: "dial timeout for client connections",
    value: 2n * SECOND,
  },
  {
    name: "command-timeout",
    kind: "duration",
    usage: "timeout for short running command (excluding dial timeout)",
    value: 5n * SECOND,
  },
  {
    name: "keepalive-time",
    kind: "duration",
    usage: "keepalive time for client connections",
    value: 2n * SECOND,
  },
  {
    name: "keepalive-timeout",
    kind: "duration",
    usage: "keepalive timeout for client connections",
    value: 6n * SECOND,
  },
  {
    name: "max-request-bytes",
    kind: "int",
    usage: "client-side request send limit in bytes (if 0, it defaults to 2.0 MiB (2 * 1024 * 1024).)",
  },
  {
    name: "max-recv-bytes",
    kind: "int",
    usage: 'client-side response receive limit in bytes (if 0, it defaults to "math.MaxInt32")',
  },
  bool("insecure-transport", "disable transport security for client connections", true),
  bool("insecure-discovery", "accept insecure SRV records describing cluster endpoints", true),
  bool(
    "insecure-skip-tls-verify",
    "skip server certificate verification (CAUTION: this option should be enabled only for testing purposes)",
  ),
  string("cert", "identify secure client using this TLS certificate file"),
  string("key", "identify secure client using this TLS key file"),
  string("cacert", "verify certificates of TLS-enabled secure servers using this CA bundle"),
  string(
    "auth-jwt-token",
    "JWT token used for authentication (if this option is used, --user and --password should not be set)",
  ),
  string("user", "username[:password] for authentication (prompt if password is not supplied)"),
  string(
    "password",
    "password for authentication (if this option is used, --user option shouldn't include password)",
  ),
  {
    ...string("discovery-srv", "domain name to query for SRV records describing cluster endpoints"),
    short: "d",
  },
  string("discovery-srv-name", "service name to query when using DNS discovery"),
].map((flag) => ({ ...flag, hidden: true }) as FlagSpec);
