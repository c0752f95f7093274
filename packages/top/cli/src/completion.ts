/**
 * `physio completion`: what a shell completes, from the commands themselves.
 *
 * A command's name first, then its options, the choices of an option, and files of the host.
 */
import type { Command, Option } from "commander";

export const SHELLS = Object.freeze(["bash", "zsh", "fish"] as const);
export type Shell = (typeof SHELLS)[number];

const flagsOf = ({ short, long }: Option): string[] =>
  [short, long].filter((flag): flag is string => flag !== undefined && flag !== null);

const optionsOf = (command: Command): Option[] => [...command.createHelp().visibleOptions(command)];

const commandsOf = (program: Command): Command[] =>
  program.createHelp().visibleCommands(program) as Command[];

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** `case` branches: what may come after the word `$prev`. */
function choiceCases(program: Command, indent: string): string {
  const lines: Set<string> = new Set();
  for (const command of commandsOf(program)) {
    for (const option of optionsOf(command)) {
      if (option.argChoices === undefined) continue;
      const words = quoted(option.argChoices.join(" "));
      lines.add(`${indent}${flagsOf(option).join("|")}) words=${words} ;;`);
    }
  }
  return [...lines].join("\n");
}

function bash(program: Command): string {
  const commands = commandsOf(program);
  const cases = commands.map((command) => {
    if (command.name() === "completion") {
      const shells = quoted(SHELLS.join(" "));
      return `    completion) COMPREPLY=($(compgen -W ${shells} -- "$word")); return ;;`;
    }
    const words = optionsOf(command).flatMap(flagsOf).join(" ");
    return `    ${command.name()}) words=${quoted(words)} ;;`;
  });
  const names = commands.map((command) => command.name()).join(" ");
  return `_physio() {
  local word=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(names)} -- "$word"))
    return
  fi
  case $prev in
${choiceCases(program, "    ")}
  esac
  [ -n "$words" ] || case \${COMP_WORDS[1]} in
${cases.join("\n")}
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *) case $prev in
         --profile) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
         *) COMPREPLY=($(compgen -f -- "$word")) ;;
       esac ;;
  esac
}
complete -o filenames -F _physio physio
`;
}

function zsh(program: Command): string {
  const spec = (option: Option): string => {
    const text = option.description.replaceAll(/[[\]:]/g, " ");
    const choices = option.argChoices === undefined ? "_files" : `(${option.argChoices.join(" ")})`;
    const value = option.required || option.optional ? `:${option.attributeName()}:${choices}` : "";
    return flagsOf(option)
      .map((flag) => `      ${quoted(`${flag}[${text}]${value}`)}`)
      .join(" \\\n");
  };
  const cases = commandsOf(program).map((command) => {
    const rest =
      command.name() === "completion" ? `'*:shell:(${SHELLS.join(" ")})'` : `'*:file:_files'`;
    const specs = [...optionsOf(command).map(spec), `      ${rest}`];
    return `    ${command.name()}) _arguments \\\n${specs.join(" \\\n")} ;;`;
  });
  const names = commandsOf(program).map(
    (command) => `    ${quoted(`${command.name()}:${command.description().replaceAll(":", " ")}`)}`,
  );
  return `#compdef physio
_physio() {
  local -a commands
  commands=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
compdef _physio physio
`;
}

function fish(program: Command): string {
  const lines = ["complete -c physio -e"];
  for (const command of commandsOf(program)) {
    const name = command.name();
    const text = quoted(command.description());
    lines.push(`complete -c physio -n __fish_use_subcommand -f -a ${name} -d ${text}`);
    for (const option of optionsOf(command)) {
      const when = quoted(`__fish_seen_subcommand_from ${name}`);
      const { short, long } = option;
      const flags = [short ? `-s ${short.slice(1)}` : "", long ? `-l ${long.slice(2)}` : ""];
      const choices = option.argChoices?.join(" ");
      const value =
        choices === undefined ? (option.required ? "-r" : "") : `-x -a ${quoted(choices)}`;
      const parts = ["complete -c physio", `-n ${when}`, ...flags, value];
      lines.push(
        [...parts.filter((part) => part !== ""), `-d ${quoted(option.description)}`].join(" "),
      );
    }
  }
  const shells = quoted(SHELLS.join(" "));
  lines.push(`complete -c physio -n '__fish_seen_subcommand_from completion' -f -a ${shells}`);
  return `${lines.join("\n")}\n`;
}

/** The script that a shell reads. */
export function completionScript(program: Command, shell: Shell): string {
  if (shell === "bash") return bash(program);
  return shell === "zsh" ? zsh(program) : fish(program);
}
