// `npm run generate`: src/wire/proto/*.proto → src/wire/generated/*.ts. With --check it writes nothing and fails when the output
// would differ. The output of the same input is the same byte for byte.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { emitCodecs, emitDescriptors } from "./gen-wire-describe.ts";
import { buildRegistry, emitFile, moduleName } from "./gen-wire-emit.ts";
import { parseProto } from "./gen-wire-parse.ts";

/** File name → content, for the .proto files in `directory`. */
export function generateWire(directory: string): Map<string, string> {
  const files = readdirSync(directory)
    .filter((name) => name.endsWith(".proto"))
    .sort()
    .map((name) => parseProto(name.slice(0, -".proto".length), readFileSync(join(directory, name), "utf8")));
  const registry = buildRegistry(files);
  const output = new Map<string, string>();
  for (const file of files) output.set(`${moduleName(file.name)}.ts`, emitFile(file, registry));
  output.set("descriptors.ts", emitDescriptors(files, registry));
  output.set("codecs.ts", emitCodecs(files));
  return output;
}

function main(check: boolean): void {
  const wire = join(process.cwd(), "src", "wire");
  const target = join(wire, "generated");
  mkdirSync(target, { recursive: true });
  const output = generateWire(join(wire, "proto"));
  const existing = readdirSync(target);
  const stale = existing.filter((name) => !output.has(name));
  const changed = [...output].filter(
    ([name, text]) => !existing.includes(name) || readFileSync(join(target, name), "utf8") !== text,
  );
  if (check) {
    for (const name of [...stale, ...changed.map(([name]) => name)]) console.log(`not up to date: ${name}`);
    process.exitCode = stale.length + changed.length > 0 ? 1 : 0;
    return;
  }
  for (const name of stale) rmSync(join(target, name));
  for (const [name, text] of changed) writeFileSync(join(target, name), text);
  console.log(`${output.size} files, ${changed.length} changed, ${stale.length} removed`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes("--check"));
