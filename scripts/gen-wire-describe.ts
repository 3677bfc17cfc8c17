// Writes the two tables about messages: descriptors (names and kinds, for JSON) and codecs (full name → functions). Whoever
// needs one message imports its module instead: these tables pull in everything.
import { fullName, GENERATED, moduleName, type Registry } from "./gen-wire-emit.ts";
import type { Field, ProtoFile } from "./gen-wire-parse.ts";

const SCALARS = new Set(["int64", "uint64", "uint32", "bool", "string", "bytes"]);

export function emitDescriptors(files: readonly ProtoFile[], registry: Registry): string {
  let messages = "";
  let enums = "";
  let methods = "";
  for (const file of files) {
    for (const message of file.messages) {
      const rows = message.fields.map((field) => `    ${fieldRow(file, message.name, field, registry)},\n`);
      const body = rows.length === 0 ? "[]" : `[\n${rows.join("")}  ]`;
      messages += `  "${file.package}.${message.name}": ${body},\n`;
    }
    for (const item of file.enums) {
      const values = item.values.map((value) => `${value.number}: "${value.name}"`).join(", ");
      enums += `  "${file.package}.${item.protoName}": { ${values} },\n`;
    }
    for (const service of file.services) {
      for (const method of service.methods) {
        const request = fullName(registry, file, "", method.request);
        const response = fullName(registry, file, "", method.response);
        const path = `/${file.package}.${service.name}/${method.name}`;
        methods += `  "${path}": ["${request}", "${response}", ${method.requestStream}, ${method.responseStream}],\n`;
      }
    }
  }
  return `${GENERATED}import type { EnumRow, FieldRow, MethodRow } from "../descriptor.ts";

export const messageRows: Readonly<Record<string, readonly FieldRow[]>> = {
${messages}};

export const enumRows: Readonly<Record<string, EnumRow>> = {
${enums}};

export const methodRows: Readonly<Record<string, MethodRow>> = {
${methods}};
`;
}

function fieldRow(file: ProtoFile, message: string, field: Field, registry: Registry): string {
  const scalar = SCALARS.has(field.type);
  const name = scalar ? "" : fullName(registry, file, message, field.type);
  const kind = scalar ? field.type : registry.get(name)!.message === undefined ? "enum" : "message";
  const row = [field.name, field.property, field.number, kind, field.repeated, name, field.oneof];
  return JSON.stringify(row).replaceAll(",", ", ");
}

export function emitCodecs(files: readonly ProtoFile[]): string {
  let imports = "";
  let rows = "";
  for (const file of files) {
    const alias = file.name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    imports += `import * as ${alias} from "./${moduleName(file.name)}.ts";\n`;
    for (const { name } of file.messages) {
      const functions = ["create", "decode", "encode"].map((verb) => `${verb}: ${alias}.${verb}${name}`);
      rows += `  ["${file.package}.${name}", { ${functions.join(", ")} } as Codec],\n`;
    }
  }
  return `${GENERATED}import type { Codec } from "../descriptor.ts";\n${imports}
export const codecs: ReadonlyMap<string, Codec> = new Map<string, Codec>([
${rows}]);
`;
}
