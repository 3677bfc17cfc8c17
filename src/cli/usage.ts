// Help and usage texts in cobra's layout, to the byte. Called by execute(), by the help command, and by etcdctl's `options`.
import type { Command } from "./command.ts";
import type { Flag } from "./flag.ts";
import { flagUsages } from "./flag.ts";

/** cobra's narrowest column of command names. */
const NAME_COLUMN_MIN = 11;

function visible(flags: readonly Flag[]): boolean {
  return flags.some((flag) => flag.spec.hidden !== true && flag.spec.deprecated === undefined);
}

function useLine(command: Command): string {
  const line =
    command.parent === undefined ? command.spec.use : `${command.parent.path()} ${command.spec.use}`;
  if (command.spec.flagsInUseLine === false || line.includes("[flags]")) return line;
  return visible(command.localFlags) || visible(command.inheritedFlags) ? `${line} [flags]` : line;
}

function commandLines(command: Command, chosen: (child: Command) => boolean): string {
  const width = Math.max(NAME_COLUMN_MIN, ...command.commands.map((child) => child.name.length));
  return [...command.commands]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .filter((child) => child.available && chosen(child))
    .map((child) => `\n  ${child.name.padEnd(width)} ${child.spec.short ?? ""}`)
    .join("");
}

function commandsBlock(command: Command): string {
  const groups = command.spec.groups ?? [];
  if (groups.length === 0) return `\n\nAvailable Commands:${commandLines(command, () => true)}`;
  let text = "";
  for (const { id, title } of groups) {
    text += `\n\n${title}${commandLines(command, (child) => child.spec.group === id)}`;
  }
  const lost = command.commands.some((child) => child.available && child.spec.group === undefined);
  if (!lost) return text;
  return `${text}\n\nAdditional Commands:${commandLines(command, (child) => child.spec.group === undefined)}`;
}

/** cobra's UsageString. `helpFlag` false: as cobra shows a command that it has not prepared to run. */
export function usageText(command: Command, helpFlag = true): string {
  const { spec } = command;
  const localFlags = helpFlag
    ? command.localFlags
    : command.localFlags.filter((flag) => flag.spec.name !== "help");
  const parents = command.commands.some((child) => child.available);
  let text = "Usage:";
  if (command.runnable) text += `\n  ${useLine(command)}`;
  if (parents) text += `\n  ${command.path()} [command]`;
  if (spec.aliases !== undefined) text += `\n\nAliases:\n  ${[command.name, ...spec.aliases].join(", ")}`;
  if (spec.example !== undefined) text += `\n\nExamples:\n${spec.example}`;
  if (parents) text += commandsBlock(command);
  if (visible(localFlags)) text += `\n\nFlags:\n${flagUsages(localFlags).trimEnd()}`;
  if (visible(command.inheritedFlags)) {
    text += `\n\nGlobal Flags:\n${flagUsages(command.inheritedFlags).trimEnd()}`;
  }
  if (parents) text += `\n\nUse "${command.path()} [command] --help" for more information about a command.`;
  return `${text}\n`;
}

/** What `--help` and `help X` print. */
export function helpText(command: Command): string {
  const suffix = command.options.helpSuffix ?? "";
  if (command.options.helpIsUsage === true) return usageText(command) + suffix;
  const description = (command.spec.long ?? command.spec.short ?? "").trimEnd();
  const head = description === "" ? "" : `${description}\n\n`;
  const body = command.runnable || command.commands.length > 0 ? usageText(command) : "";
  return head + body + suffix;
}
