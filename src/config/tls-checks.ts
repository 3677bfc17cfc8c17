// Which TLS files must be given together, and for which URLs: etcd's checks and words, without looking into the files (src/node does
// that). Called by src/config/build; pure.
import type { FlagValues } from "./flag-values.ts";
import { quote } from "./go-values.ts";
import { isSecure } from "./urls.ts";

/** The first problem of the listener for other members. */
export function peerTlsProblem(values: FlagValues): string | undefined {
  const url = values.urls("listen-peer-urls").find(isSecure);
  if (url === undefined || values.bool("peer-auto-tls")) return undefined;
  if (values.text("peer-cert-file") === "" && values.text("peer-key-file") === "") {
    return `cannot listen on TLS for ${url.host}: KeyFile and CertFile are not presented`;
  }
  return (
    pairProblem(values, "peer-") ??
    bothAllowedProblem(values.texts("peer-cert-allowed-cn"), values.texts("peer-cert-allowed-hostname"))
  );
}

/** A URL without any file for it, as etcd finds it before it listens. */
export function missingTlsProblem(values: FlagValues): string | undefined {
  if (values.text("cert-file") !== "" || values.text("key-file") !== "" || values.bool("auto-tls"))
    return undefined;
  const urls = [...values.urls("listen-client-urls"), ...values.urls("listen-client-http-urls")];
  const url = urls.find(isSecure);
  if (url === undefined) return undefined;
  const files = "TLS key/cert (--cert-file, --key-file) must be provided";
  return `${files} for client url ${url.text} with HTTPS scheme`;
}

/** What etcd finds only when it serves, and reports as "listener failed". */
export function clientTlsProblem(
  values: FlagValues,
  allowedCommonNames: readonly string[],
): string | undefined {
  if (values.bool("auto-tls") && values.text("cert-file") === "" && values.text("key-file") === "")
    return undefined;
  const names = ["listen-client-urls", "listen-client-http-urls"];
  if (names.some((name) => values.urls(name).some(isSecure))) {
    return (
      pairProblem(values, "") ??
      bothAllowedProblem(allowedCommonNames, values.texts("client-cert-allowed-hostname"))
    );
  }
  const metrics = values.urls("listen-metrics-urls").some(isSecure);
  if (!metrics) return undefined;
  if (values.text("cert-file") === "" && values.text("key-file") === "") {
    return "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url";
  }
  return pairProblem(values, "");
}

function pairProblem(values: FlagValues, prefix: "" | "peer-"): string | undefined {
  const key = values.text(`${prefix}key-file`);
  const cert = values.text(`${prefix}cert-file`);
  if (key === "" || cert === "")
    return `KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`;
  const clientKey = values.text(`${prefix}client-key-file`);
  const clientCert = values.text(`${prefix}client-cert-file`);
  if ((clientKey === "") === (clientCert === "")) return undefined;
  const both = "ClientKeyFile and ClientCertFile must both be present or both absent";
  return `${both}: key: ${clientKey}, cert: ${clientCert}]`;
}

function bothAllowedProblem(
  commonNames: readonly string[],
  hostnames: readonly string[],
): string | undefined {
  if (commonNames.length === 0 || hostnames.length === 0) return undefined;
  const shown = (names: readonly string[]): string => `[${names.map(quote).join(" ")}]`;
  const values = `(cns=${shown(commonNames)}, hostnames=${shown(hostnames)})`;
  return `AllowedCNs and AllowedHostnames are mutually exclusive ${values}`;
}
