// Log lines, as the member writes them. The edge renders them as etcd's zap does (JSON or console).
export type Fields = { readonly [name: string]: unknown };

export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** True when debug lines are written; guards costly fields. */
  readonly debugEnabled: boolean;
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  debugEnabled: false,
};
