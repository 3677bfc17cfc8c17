// The reader of data-driven test files (cockroachdb/datadriven's format): a command line, optional input, `----`, the expected
// output up to a blank line. Test support only; it reads text, the tests read files.
import { assert } from "../assert.ts";

export type Argument = { readonly key: string; readonly values: readonly string[] };

export type Directive = {
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  readonly input: string;
  readonly expected: string;
};

const SEPARATOR = "----";

export function parseDirectives(text: string): Directive[] {
  const lines = text.split("\n");
  const directives: Directive[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at]!.trim();
    if (line === "" || line.startsWith("#")) {
      at++;
      continue;
    }
    const separator = lines.indexOf(SEPARATOR, at);
    assert(separator >= 0, `line ${at + 1}: a command without ----`);
    const output = readOutput(lines, separator + 1);
    const input = lines
      .slice(at + 1, separator)
      .join("\n")
      .trim();
    const { command, args } = parseCommand(line);
    directives.push({ line: at + 1, command, args, input, expected: output.text });
    at = output.next;
  }
  return directives;
}

/** Up to a blank line; or, if a second ---- follows the first, up to another such pair. */
function readOutput(lines: readonly string[], from: number): { text: string; next: number } {
  const doubled = lines[from] === SEPARATOR;
  let at = doubled ? from + 1 : from;
  let text = "";
  for (; at < lines.length; at++) {
    if (doubled && lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR) return { text, next: at + 2 };
    if (!doubled && lines[at]!.trim() === "") break;
    text += `${lines[at]}\n`;
  }
  return { text, next: at + 1 };
}

function parseCommand(line: string): { command: string; args: Argument[] } {
  const tokens = line.match(/[^\s(=]+(?:=\([^)]*\)|=[^\s(]*)?/g);
  assert(tokens !== null, `not a command: ${line}`);
  const [command, ...rest] = tokens;
  return { command: command!, args: rest.map(parseArgument) };
}

function parseArgument(token: string): Argument {
  const equals = token.indexOf("=");
  if (equals < 0) return { key: token, values: [] };
  const value = token.slice(equals + 1);
  const values = value.startsWith("(") ? value.slice(1, -1).split(",") : [value];
  return { key: token.slice(0, equals), values: values.map((one) => one.trim()) };
}

/** The values of `key`, or none. */
export function argumentValues(directive: Directive, key: string): readonly string[] {
  return directive.args.find((argument) => argument.key === key)?.values ?? [];
}

/** Arguments without a value that are numbers. */
export function plainNumbers(directive: Directive): number[] {
  return directive.args
    .filter((argument) => argument.values.length === 0)
    .map((argument) => Number(argument.key));
}
