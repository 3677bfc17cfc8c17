// An address as Go's net.JoinHostPort writes it. It never looks whether the host is one.

/** `host:port`; a host with colons, an IPv6 address, stands in brackets. */
export function joinHostPort(host: string, port: number | string | undefined): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
