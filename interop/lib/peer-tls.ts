// The TLS options of a network between members that has none, for cases that start one themselves.
import type { PeerTlsOptions } from "../../src/peer/network.ts";

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
