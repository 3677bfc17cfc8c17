// What ends a chain of certificates, for all TLS that we speak, on either side: as in Go any certificate of a bundle does, not only one that
// signed itself. Node before 20.18 knows no such choice.
import type { Server } from "node:tls";

/** For who dials. */
export const GO_TRUST = { allowPartialTrustChain: true } as const;

type WithContext = {
  readonly _sharedCreds?: { readonly context: { setAllowPartialTrustChain?: () => void } };
};

/** For who listens, whenever it has got another context: a server of Node's (20 to 24) does not hand the option on. */
export function trustAsGo(server: Server): void {
  (server as WithContext)._sharedCreds?.context.setAllowPartialTrustChain?.();
}
