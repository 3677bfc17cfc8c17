// Shell completion of a command tree: the scripts that a shell loads, and the hidden `__complete` call by which they ask. Lines are
// `candidate<TAB>description`, then `:4` (no files) or `:0` (file names may follow), as cobra's scripts expect them too.
import type { Command, Output } from "./command.ts";

const NO_FILES = ":4";
const FILES = ":0";

const bash = (name: string): string => `# bash completion for ${name}
__${name}_complete() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
            :0) compopt -o default 2>/dev/null ;;
            :*) ;;
            *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
        esac
    done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F __${name}_complete ${name}
`;

const zsh = (name: string): string => `#compdef ${name}
compdef _${name} ${name}
_${name}() {
    local -a found
    local line files=0
    while IFS= read -r line; do
        case "$line" in
            :0) files=1 ;;
            :*) ;;
            *) found+=("\${line/$'\\t'/:}") ;;
        esac
    done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
    (( \${#found} )) && _describe '${name}' found
    (( files )) && _files
}
if [ "$funcstack[1]" = "_${name}" ]; then
    _${name}
fi
`;

const fish = (name: string): string => `# fish completion for ${name}
function __${name}_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        switch $line
            case ':0'
                __fish_complete_path (commandline -ct)
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c ${name} -f -a '(__${name}_complete)'
`;

const powershell = (name: string): string => `# powershell completion for ${name}
Register-ArgumentCompleter -Native -CommandName '${name}' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | ForEach-Object { "$_" })
    $given = @($words | Select-Object -Skip 1)
    if ("$wordToComplete" -eq '') { $given += '' }
    & $words[0] __complete @given 2>$null | Where-Object { $_ -notmatch '^:' } | ForEach-Object {
        $parts = $_ -split "\`t", 2
        $tip = if ($parts.Count -gt 1 -and $parts[1] -ne '') { $parts[1] } else { $parts[0] }
        [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', $tip)
    }
}
`;

const SCRIPTS: Record<string, (name: string) => string> = { bash, zsh, fish, powershell };
export const COMPLETION_SHELLS: readonly string[] = ["bash", "zsh", "fish", "powershell"];

/** The script for one of COMPLETION_SHELLS. */
export function completionScript(shell: string, name: string): string {
  return SCRIPTS[shell]!(name);
}

/** Answers `__complete WORDS...`, of which the last is being typed. */
export function complete(root: Command, words: readonly string[], output: Output): void {
  const typed = words.at(-1) ?? "";
  const { command } = root.find(words.slice(0, -1));
  if (typed.startsWith("-")) {
    for (const flag of command.flags.all()) {
      const name = `--${flag.spec.name}`;
      if (flag.spec.hidden !== true && name.startsWith(typed))
        output.out(`${name}\t${flag.spec.usage.split("\n")[0]}\n`);
    }
    output.out(`${NO_FILES}\n`);
    return;
  }
  const children = command.commands.filter((child) => child.available && child.name.startsWith(typed));
  for (const child of children) output.out(`${child.name}\t${child.spec.short ?? ""}\n`);
  output.out(`${command.commands.length > 0 ? NO_FILES : FILES}\n`);
}
