// completion: scripts that ask this program itself what could follow, and the hidden command that answers them. The protocol is
// cobra's (`__complete WORDS…` → one choice per line, a tab before its description, a directive at the end), so that scripts
// which the other etcdctl has written work as well.
import type { Command } from "../../cli/command.ts";
import { standsAlone } from "../../cli/flag.ts";
import type { Run } from "../specs.ts";

const BASH = `# bash completion for etcdctl
_etcdctl() {
  local current="\${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS='' read -r line; do
    [[ "$line" == :* ]] && continue
    line="\${line%%$'\\t'*}"
    [[ "$line" == "$current"* ]] && COMPREPLY+=("$line")
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD-1}" "$current" 2>/dev/null)
}
complete -o default -F _etcdctl etcdctl
`;

const ZSH = `#compdef etcdctl
_etcdctl() {
  local -a choices
  local line
  while IFS='' read -r line; do
    [[ "$line" == :* ]] && continue
    line="\${line//:/\\\\:}"
    choices+=("\${line/$'\\t'/:}")
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe 'etcdctl' choices || _files
}
if [ "$funcstack[1]" = "_etcdctl" ]; then
  _etcdctl
else
  compdef _etcdctl etcdctl
fi
`;

const FISH = `# fish completion for etcdctl
function __etcdctl_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  $words[1] __complete $words[2..-1] "$current" 2>/dev/null | string match -v ':*'
end
complete -c etcdctl -a '(__etcdctl_complete)'
`;

const POWERSHELL = `# powershell completion for etcdctl
Register-ArgumentCompleter -Native -CommandName 'etcdctl' -ScriptBlock {
  param($current, $ast, $position)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if ($current -eq '') { $words += '""' }
  & etcdctl __complete @words 2>$null | Where-Object { $_ -notmatch '^:' } | ForEach-Object {
    $name, $text = $_ -split "\`t", 2
    if (-not $text) { $text = $name }
    [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $text)
  } | Where-Object { $_.CompletionText -like "$current*" }
}
`;

const SCRIPTS: Record<string, string> = { bash: BASH, zsh: ZSH, fish: FISH, powershell: POWERSHELL };

export const run: Run = ({ args, output }) => {
  output.out(SCRIPTS[args[0]!]!);
};

/** Values that a flag or an argument may have. */
const FLAG_VALUES: Record<string, readonly string[]> = {
  "write-out": ["fields", "json", "protobuf", "simple", "table"],
  consistency: ["l", "s"],
  order: ["ASCEND", "DESCEND"],
  "sort-by": ["CREATE", "KEY", "MODIFY", "VALUE", "VERSION"],
  load: ["small", "medium", "large", "xLarge"],
};
const ARGUMENTS: Record<string, readonly string[]> = { completion: ["bash", "zsh", "fish", "powershell"] };

/** cobra's directive bits: file names may follow, or not. */
const DEFAULT = 0;
const NO_FILES = 4;

function flagChoices(command: Command, current: string): string[] {
  return command.flags
    .all()
    .filter(({ spec }) => `--${spec.name}`.startsWith(current))
    .map(({ spec }) => `--${spec.name}\t${spec.usage}`);
}

export function completions(
  tree: Command,
  words: readonly string[],
): { choices: string[]; directive: number } {
  const current = words[words.length - 1] ?? "";
  const { command } = tree.find(words.slice(0, -1));
  const before = words[words.length - 2] ?? "";
  const waiting = before.startsWith("--") ? command.flags.lookup(before.slice(2)) : undefined;
  if (waiting !== undefined && !standsAlone(waiting)) {
    const values = (FLAG_VALUES[waiting.spec.name] ?? []).filter((value) => value.startsWith(current));
    return { choices: values, directive: DEFAULT };
  }
  if (current.startsWith("-")) return { choices: flagChoices(command, current), directive: NO_FILES };
  const children = command.commands.filter((child) => child.available && child.name.startsWith(current));
  if (children.length > 0) {
    return {
      choices: children.map((child) => `${child.name}\t${child.spec.short ?? ""}`),
      directive: NO_FILES,
    };
  }
  return {
    choices: (ARGUMENTS[command.name] ?? []).filter((value) => value.startsWith(current)),
    directive: DEFAULT,
  };
}
