// Completion scripts for the three common shells: words come from the same specifications as help.
import { badUsage, type CommandSpec, GLOBAL_OPTIONS } from "../command.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

type Tree = {
  readonly tops: readonly string[];
  /** Commands of a room, options of a command, by its words. */
  readonly verbs: ReadonlyMap<string, readonly string[]>;
  readonly options: ReadonlyMap<string, readonly string[]>;
};

function treeOf(specs: readonly CommandSpec[]): Tree {
  const verbs = new Map<string, string[]>();
  const options = new Map<string, readonly string[]>();
  for (const { path, options: own } of specs) {
    const [top, verb] = path;
    if (verb !== undefined) verbs.set(top, [...(verbs.get(top) ?? []), verb]);
    options.set(
      path.join(" "),
      [...own, ...GLOBAL_OPTIONS].map((option) => `--${option.name}`),
    );
  }
  const tops = [...new Set([...specs.map(({ path }) => path[0]), "help"])];
  return { tops, verbs, options };
}

export function completionScript(shell: Shell, specs: readonly CommandSpec[]): string {
  const tree = treeOf(specs);
  switch (shell) {
    case "bash":
      return bash(tree);
    case "zsh":
      return `#compdef cadre\nautoload -U +X bashcompinit && bashcompinit\n${bash(tree)}`;
    case "fish":
      return fish(specs, tree);
  }
}

function bash(tree: Tree): string {
  const cases = (entries: Iterable<readonly [string, readonly string[]]>): string =>
    [...entries].map(([key, words]) => `    "${key}") words="${words.join(" ")}" ;;`).join("\n");
  return `_cadre() {
  local current="\${COMP_WORDS[COMP_CWORD]}" first="" second="" word words=""
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in
      --hub|--home) ((i++)) ;;
      -*) ;;
      *) if [ -z "$first" ]; then first="$word"; elif [ -z "$second" ]; then second="$word"; fi ;;
    esac
  done
  if [ -z "$first" ]; then
    words="${tree.tops.join(" ")} ${GLOBAL_OPTIONS.map((option) => `--${option.name}`).join(" ")}"
  elif [ "\${current#-}" != "$current" ]; then
    case "$first $second" in
${cases([...tree.options].map(([key, words]) => [key.includes(" ") ? key : `${key} `, words] as const))}
    esac
    if [ -z "$words" ]; then case "$first" in
${cases([...tree.options].filter(([key]) => !key.includes(" ")))}
    esac; fi
  elif [ -z "$second" ]; then
    case "$first" in
${cases(tree.verbs)}
    "help") words="exit ${tree.tops.join(" ")}" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _cadre cadre
`;
}

// Fish takes text in single quotes literally, but for the quote itself and the backslash.
const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;

function fish(specs: readonly CommandSpec[], tree: Tree): string {
  const lines = ["complete -c cadre -f"];
  const isRoom = (top: string): boolean => tree.verbs.has(top);
  for (const top of tree.tops) {
    const spec = specs.find(({ path }) => path.length === 1 && path[0] === top);
    const says = spec === undefined ? "" : ` -d ${quoted(spec.summary)}`;
    lines.push(`complete -c cadre -n __fish_use_subcommand -a ${top}${says}`);
  }
  for (const { path, summary, options } of specs) {
    const [top, verb] = path;
    if (verb !== undefined && isRoom(top)) {
      const others = (tree.verbs.get(top) ?? []).join(" ");
      lines.push(
        `complete -c cadre -n '__fish_seen_subcommand_from ${top}; and not __fish_seen_subcommand_from ${others}' -a ${verb} -d ${quoted(summary)}`,
      );
    }
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    for (const option of options) {
      const value = option.value === undefined ? "" : " -r";
      lines.push(
        `complete -c cadre -n '${seen}' -l ${option.name}${value} -d ${quoted(option.summary)}`,
      );
    }
  }
  for (const option of GLOBAL_OPTIONS)
    lines.push(`complete -c cadre -l ${option.name} -d ${quoted(option.summary)}`);
  return `${lines.join("\n")}\n`;
}

/** The command that prints the script; it knows all the others. */
export const completionCommand = (all: () => Promise<readonly CommandSpec[]>): CommandSpec => ({
  path: ["completion"],
  summary: "Print the completion script of a shell: bash, zsh or fish.",
  args: [{ name: "shell", isRequired: true }],
  options: [],
  examples: [
    'eval "$(cadre completion bash)"',
    "cadre completion fish > ~/.config/fish/completions/cadre.fish",
  ],
  async run({ terminal }, parsed) {
    const shell = SHELLS.find((one) => one === parsed.args["shell"]);
    if (shell === undefined) {
      throw badUsage(
        `There is no completion for "${parsed.args["shell"] ?? ""}". It is one of ${SHELLS.join(", ")}.`,
      );
    }
    terminal.out(completionScript(shell, await all()));
    return 0;
  },
});
