// What the generated tables say about messages: for JSON printers and the gateway, which go by names. The hot path never comes
// here. Rows are tuples to keep the tables small; the functions below give them names.
import { enumRows, messageRows, methodRows } from "./generated/descriptors.ts";

export type FieldKind = "int64" | "uint64" | "uint32" | "bool" | "string" | "bytes" | "enum" | "message";

export type FieldRow = readonly [
  name: string,
  property: string,
  number: number,
  kind: FieldKind,
  repeated: boolean,
  typeName: string,
  oneof: string,
];
export type EnumRow = Readonly<Record<number, string>>;
export type MethodRow = readonly [
  request: string,
  response: string,
  requestStream: boolean,
  responseStream: boolean,
];

export type FieldDescriptor = {
  /** As in the .proto: `prev_kv`, `peerURLs`. */
  readonly name: string;
  /** As in TypeScript: `prevKv`, `peerUrls`. */
  readonly property: string;
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** Full name of the message or enum, else "". */
  readonly typeName: string;
  /** The oneof it belongs to as in the .proto, else "". Its value is then at message[oneofProperty].value. */
  readonly oneof: string;
  readonly oneofProperty: string;
};

export type MethodDescriptor = {
  readonly request: string;
  readonly response: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
};

/** A message of any type, as plain properties. */
export type AnyMessage = Record<string, unknown>;

export type Codec = {
  create(): AnyMessage;
  decode(bytes: Uint8Array, start?: number, end?: number): AnyMessage;
  encode(message: AnyMessage): Uint8Array;
};

function toDescriptor(row: FieldRow): FieldDescriptor {
  const oneof = row[6];
  return {
    name: row[0],
    property: row[1],
    number: row[2],
    kind: row[3],
    repeated: row[4],
    typeName: row[5],
    oneof,
    oneofProperty: oneof.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  };
}

/** The fields of a message in the order of the .proto, or undefined when there is no such message. */
export function fieldsOf(typeName: string): readonly FieldDescriptor[] | undefined {
  return Object.hasOwn(messageRows, typeName) ? messageRows[typeName]!.map(toDescriptor) : undefined;
}

/** The name of an enum's number, or undefined. */
export function enumName(typeName: string, value: number): string | undefined {
  return enumRows[typeName]?.[value];
}

/** The number of an enum's name, or undefined. */
export function enumNumber(typeName: string, name: string): number | undefined {
  for (const [number, candidate] of Object.entries(enumRows[typeName] ?? {})) {
    if (candidate === name) return Number(number);
  }
  return undefined;
}

/** What a gRPC path ("/etcdserverpb.KV/Range") takes and gives. */
export function methodOf(path: string): MethodDescriptor | undefined {
  if (!Object.hasOwn(methodRows, path)) return undefined;
  const row = methodRows[path]!;
  return { request: row[0], response: row[1], requestStream: row[2], responseStream: row[3] };
}
