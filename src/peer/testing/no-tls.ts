// The TLS options of a network between members that has none. Tests and the interop suite start such networks; no program does.
import type { PeerTlsOptions } from "../network.ts";

export const NO_TLS: PeerTlsOptions = {
  certFile: "",
  keyFile: "",
  clientCertFile: "",
  clientKeyFile: "",
  trustedCaFile: "",
  clientCertAuth: false,
  crlFile: "",
  allowedCommonNames: [],
  allowedHostnames: [],
  ciphers: undefined,
  minVersion: undefined,
  maxVersion: undefined,
  skipClientSanVerification: false,
  selfSigned: false,
};
