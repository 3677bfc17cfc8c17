// Messages as Go's encoding/json prints etcd's structs: fields in their order, zero values left out, bytes in base64, ids as
// numbers in full, and the characters that HTML minds escaped. Strings are put together by hand: JSON.stringify knows no 64 bits.
import type { FieldDescriptor } from "../wire/descriptor.ts";
import { fieldsOf } from "../wire/descriptor.ts";
import { integer } from "./format.ts";

/** A string as encoding/json quotes it. */
export function jsonString(text: string): string {
  return JSON.stringify(text)
    .replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replace(/\\b|\\f|\\\\/g, (c) => (c === "\\b" ? "\\u0008" : c === "\\f" ? "\\u000c" : c));
}

export function jsonBytes(bytes: Uint8Array): string {
  return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")}"`;
}

export function jsonNumber(value: number | bigint): string {
  return typeof value === "bigint" ? value.toString() : integer(value);
}

/** `{"name":value,…}` of what is not undefined. */
export function jsonObject(members: readonly (readonly [string, string | undefined])[]): string {
  const shown = members.filter((member) => member[1] !== undefined);
  return `{${shown.map(([name, value]) => `${jsonString(name)}:${value}`).join(",")}}`;
}

export function jsonArray(values: readonly string[]): string {
  return `[${values.join(",")}]`;
}

function jsonValue(field: FieldDescriptor, value: unknown): string {
  switch (field.kind) {
    case "bool":
      return value === true ? "true" : "false";
    case "string":
      return jsonString(value as string);
    case "bytes":
      return jsonBytes(value as Uint8Array);
    case "message":
      return jsonMessage(field.typeName, value as object);
    default:
      return jsonNumber(value as number | bigint);
  }
}

function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value === undefined || value === 0 || value === 0n || value === false || value === "";
}

/** The descriptors met so far: lists ask for the same one thousands of times. */
const known = new Map<string, readonly FieldDescriptor[]>();

function descriptorsOf(typeName: string): readonly FieldDescriptor[] {
  let fields = known.get(typeName);
  if (fields === undefined) {
    fields = fieldsOf(typeName) ?? [];
    known.set(typeName, fields);
  }
  return fields;
}

/** The members of a message, for structs that embed it. */
export function jsonMembers(typeName: string, message: object): (readonly [string, string | undefined])[] {
  const values = message as Record<string, unknown>;
  return descriptorsOf(typeName).map((field) => {
    const value = values[field.property];
    if (isZero(value)) return [field.name, undefined];
    if (!field.repeated) return [field.name, jsonValue(field, value)];
    return [field.name, jsonArray((value as unknown[]).map((item) => jsonValue(field, item)))];
  });
}

export function jsonMessage(typeName: string, message: object): string {
  return jsonObject(jsonMembers(typeName, message));
}
