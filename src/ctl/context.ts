// What every command that talks to a cluster begins with: the global flags and variables, and the client they describe.
import type { Invocation } from "../cli/command.ts";
import { formatDuration } from "../cli/duration.ts";
import type { FlagSet } from "../cli/flag-set.ts";
import { Client } from "../client/client.ts";
import type { TlsOptions } from "../client/connection.ts";
import { authority } from "../client/endpoint.ts";
import { RpcError } from "../client/errors.ts";
import type { ClientOptions, FailedAttempt } from "../client/rpc.ts";
import { applyEnvironment, Exit, fail, variableName } from "./environment.ts";
import { logLine } from "./log.ts";
import { askPassword } from "./terminal.ts";

/** Output formats of --write-out. */
const FORMATS = ["simple", "fields", "json", "protobuf", "table"] as const;
export type Format = (typeof FORMATS)[number];

export type Context = {
  readonly invocation: Invocation;
  readonly flags: FlagSet;
  readonly args: readonly string[];
  readonly format: Format;
  readonly hex: boolean;
  /** The options of a client for all endpoints; one of them can be put in their place. */
  readonly options: ClientOptions;
  /** --command-timeout. */
  readonly timeoutMillis: number;
};

/** clientConfigFromCmd: in etcdctl's order, because the first thing wrong is the one that is said. */
export async function openContext(invocation: Invocation): Promise<Context> {
  const { command, flags, args } = invocation;
  const globals = command.inheritedFlags;
  const silent = command.name === "watch" ? ["watch-key", "watch-range-end"] : [];
  applyEnvironment(flags, globals, silent);
  if (flags.bool("debug")) printFlags(flags, [...globals.map((flag) => flag.spec.name), ...silent]);
  const endpoints = await endpointsOf(flags);
  const secure = secureFlags(flags);
  const auth = await authOf(flags);
  const format = flags.string("write-out") as Format;
  if (!FORMATS.includes(format)) fail(Exit.BadFeature, "unsupported output format");
  const tls = await tlsOf(secure);
  const options: ClientOptions = {
    endpoints,
    ...(tls === undefined ? {} : { tls }),
    ...auth,
    dialTimeoutMillis: flags.durationMillis("dial-timeout"),
    keepaliveTimeMillis: flags.durationMillis("keepalive-time"),
    keepaliveTimeoutMillis: flags.durationMillis("keepalive-timeout"),
    sendBytesMax: flags.number("max-request-bytes"),
    receiveBytesMax: flags.number("max-recv-bytes"),
  };
  const timeoutMillis = flags.durationMillis("command-timeout");
  return { invocation, flags, args, format, hex: flags.bool("hex"), options, timeoutMillis };
}

/** The client of a context; `endpoint` instead of all of them. */
export async function connect(context: Context, endpoint?: string, logger = "etcd-client"): Promise<Client> {
  const endpoints = endpoint === undefined ? context.options.endpoints : [endpoint];
  return await connectWith({ ...context.options, endpoints }, logger);
}

export async function connectWith(options: ClientOptions, logger = "etcd-client"): Promise<Client> {
  const { endpoints } = options;
  try {
    const client = new Client({
      ...options,
      onFailedAttempt: (attempt) => logAttempt(endpoints, logger, attempt),
    });
    await client.authenticate();
    return client;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return fail(Exit.BadConnection, error.message);
  }
}

function logAttempt(endpoints: readonly string[], logger: string, attempt: FailedAttempt): void {
  const { remoteAddress, localAddress } = attempt;
  const peer =
    remoteAddress === undefined
      ? "Peer{Addr: <nil>, LocalAddr: <nil>, AuthInfo: <nil>}"
      : `Peer{Addr: '${remoteAddress}', LocalAddr: '${localAddress ?? ""}', AuthInfo: '${attempt.tls ? "tls" : "insecure"}'}`;
  logLine("warn", logger, "v3@v3.7.1/retry_interceptor.go:68", "retrying of unary invoker failed", {
    // Go shows the address of the client object here.
    target: `etcd-endpoints://0xc000000000/${authority(endpoints[0]!)}`,
    peer,
    method: attempt.path,
    attempt: attempt.attempt,
    error: attempt.error.status,
  });
}

function printFlags(flags: FlagSet, names: readonly string[]): void {
  for (const name of [...names].sort()) {
    const value = flags.lookup(name)?.value ?? "";
    const kind = flags.lookup(name)?.spec.kind;
    const text =
      kind === "duration"
        ? formatDuration(value as bigint)
        : Array.isArray(value)
          ? `[${value.join(",")}]`
          : String(value);
    process.stderr.write(`${variableName(name)}=${text}\n`);
  }
}

async function endpointsOf(flags: FlagSet): Promise<string[]> {
  const domain = flags.string("discovery-srv");
  if (domain !== "") {
    const { discoverEndpoints } = await import("./discovery.ts");
    const found = await discoverEndpoints(
      domain,
      flags.string("discovery-srv-name"),
      flags.bool("insecure-discovery"),
    );
    if (found.length > 0) return found;
  }
  return flags.strings("endpoints").map((endpoint) => endpoint.trim());
}

type SecureFlags = {
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
  readonly serverName: string;
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
};

function secureFlags(flags: FlagSet): SecureFlags {
  for (const name of ["cert", "key", "cacert"]) {
    if (flags.string(name) === "" && flags.changed(name)) {
      fail(Exit.BadArgs, `empty string is passed to --${name} option`);
    }
  }
  return {
    cert: flags.string("cert"),
    key: flags.string("key"),
    cacert: flags.string("cacert"),
    serverName: flags.bool("insecure-discovery") ? "" : flags.string("discovery-srv"),
    insecureTransport: flags.bool("insecure-transport"),
    insecureSkipVerify: flags.bool("insecure-skip-tls-verify"),
  };
}

/** clientv3's rules for when TLS is configured; whether it is used the endpoint's scheme has a say in. */
export async function tlsOf(secure: SecureFlags): Promise<TlsOptions | undefined> {
  const { cert, key, cacert, serverName, insecureTransport, insecureSkipVerify } = secure;
  const wanted = cert !== "" || key !== "" || cacert !== "" || serverName !== "";
  if (!wanted && insecureTransport && !insecureSkipVerify) return undefined;
  if ((cert === "") !== (key === "")) {
    fail(Exit.BadArgs, `KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  const { readAuthorities, readKeyPair } = await import("./tls-files.ts");
  return {
    ...(cert === "" ? {} : readKeyPair(cert, key)),
    ...(cacert === "" ? {} : { ca: readAuthorities(cacert) }),
    ...(serverName === "" ? {} : { serverName }),
    insecureSkipVerify,
  };
}

async function authOf(flags: FlagSet): Promise<Pick<ClientOptions, "username" | "password" | "token">> {
  const token = flags.string("auth-jwt-token");
  if (token !== "") return { token };
  return await credentialsOf(flags.string("user"), flags.string("password"), "Password: ");
}

/** `user` or `user:password`; a password that is nowhere is asked for. */
export async function credentialsOf(
  user: string,
  password: string,
  prompt: string,
): Promise<Pick<ClientOptions, "username" | "password">> {
  if (user === "") return {};
  if (password !== "") return { username: user, password };
  const colon = user.indexOf(":");
  if (colon >= 0) return { username: user.slice(0, colon), password: user.slice(colon + 1) };
  return { username: user, password: await askPassword(prompt) };
}

/** Runs `call` and ends the program with exit code 1 (or `code`) and the error's text when it fails. */
export async function orExit<T>(
  call: Promise<T>,
  code: number = Exit.Error,
  wrap = (text: string) => text,
): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return fail(code, wrap(error.message));
  }
}
