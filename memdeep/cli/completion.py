"""`memdeep completion`: prints what completes the words of a command line in a shell.

Made from the grammar of the commands: a new option is completed without a word here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from memdeep.cli import arguments, help
from memdeep.rundir.directory import DEFAULT_PARENT

OWN = {"--help": "show the commands", "--version": "show the version"}
# Commands with a run directory behind them.
TAKES_RUN = ("report", "diff", "check", "export", "open", "watch")
WORDS = {"completion": arguments.SHELLS, "help": tuple(help.COMMANDS)}  # others, with these

_BASH = """\
_memdeep() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} options= valued= operands= at
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W '@COMMANDS@' -- "$word"))
        return
    fi
    case "$command $before" in
@CHOICES@
    esac
    case $command in
@OPTIONS@
    *) return ;;
    esac
    [[ " $valued " == *" $before "* ]] && return
    if [[ $command == run ]]; then  # what stands behind the program is its own
        for ((at = 2; at < COMP_CWORD; at++)); do
            [[ ${COMP_WORDS[at]} == -* || " $valued " == *" ${COMP_WORDS[at-1]} "* ]] || return
        done
    fi
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    else
        COMPREPLY=($(compgen -W "$operands" -- "$word"))
    fi
}
complete -o bashdefault -o default -F _memdeep memdeep"""

_ZSH = """\
#compdef memdeep
_memdeep() {
    local curcontext="$curcontext" state line
    typeset -A opt_args
    _arguments -C \\
@OWN@
        '1:command:->command' '*::word:->word'
    case $state in
    command)
        local commands=(
@COMMANDS@
        )
        _describe command commands
        ;;
    word)
        case ${line[1]} in
@OPTIONS@
        esac
        ;;
    esac
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _memdeep "$@"
else
    compdef _memdeep memdeep
fi"""


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep completion WORDS`; return its exit status."""
    shell = arguments.parser("completion").parse(words).shell
    print({"bash": bash, "zsh": zsh, "fish": fish}[shell]())
    return 0


def bash() -> str:
    """Return a script that bash evaluates."""
    choices, options = [], []
    for command in help.COMMANDS:
        taken = arguments.parser(command).options()
        for action in taken:
            if action.choices is not None:
                cases = "|".join(f"'{command} {name}'" for name in action.option_strings)
                words = " ".join(map(str, action.choices))
                choices.append(f"    {cases})")
                choices.append(f"        COMPREPLY=($(compgen -W '{words}' -- \"$word\"))")
                choices.append("        return ;;")
        names = " ".join(name for action in taken for name in action.option_strings)
        valued = (name for action in taken if takes_value(action) for name in action.option_strings)
        operands = " ".join(WORDS.get(command, ()))
        if command in TAKES_RUN:
            operands = f"$(compgen -d -- {DEFAULT_PARENT}/)"
        options.append(f"    {command})")
        options.append(f'        options="{names}" valued="{" ".join(valued)}"')
        options.append(f'        operands="{operands}" ;;')
    return _filled(
        _BASH,
        COMMANDS=" ".join([*help.COMMANDS, *OWN]),
        CHOICES="\n".join(choices),
        OPTIONS="\n".join(options),
    )


def zsh() -> str:
    """Return a script that zsh evaluates, or finds in its path of functions as ``_memdeep``."""
    options = []
    for command in help.COMMANDS:
        parser = arguments.parser(command)
        specs = [_zsh_option(action) for action in parser.options()]
        if command == "run":
            specs += ["'(-)1:program:_files -g \"*.py\"'", "'*::argument:_files'"]
        elif command in TAKES_RUN:
            specs.append("'*:run:_files'" if command == "diff" else "'1:run:_files'")
        elif command in WORDS:
            specs.append(f"'1:word:({' '.join(WORDS[command])})'")
        options.append(f"        {command})")
        options.append("            _arguments -s -S \\")
        options.append(" \\\n".join(f"                {spec}" for spec in specs))
        options.append("            ;;")
    told = (_zsh_quoted(f"{name}:{summary}") for name, summary in help.COMMANDS.items())
    own = (_zsh_quoted(f"{name}[{does}]") for name, does in OWN.items())
    return _filled(
        _ZSH,
        OWN="\n".join(f"        {spec} \\" for spec in own),
        COMMANDS="\n".join(f"            {spec}" for spec in told),
        OPTIONS="\n".join(options),
    )


def fish() -> str:
    """Return a script that fish sources."""
    return "\n".join(_fish())


def takes_value(action: argparse.Action) -> bool:
    """Tell if a value stands behind the option."""
    return action.nargs != 0


def _fish() -> Iterator[str]:
    first = "-n __fish_use_subcommand"
    for name, summary in help.COMMANDS.items():
        yield f"complete -c memdeep -f {first} -a {name} -d {_fish_quoted(summary)}"
    for name, does in OWN.items():
        yield f"complete -c memdeep -f {first} -l {name[2:]} -d {_fish_quoted(does)}"
    for command in help.COMMANDS:
        where = f"complete -c memdeep -n '__fish_seen_subcommand_from {command}'"
        for action in arguments.parser(command).options():
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in action.option_strings
            )
            value = ""
            if action.choices is not None:
                value = f" -x -a {_fish_quoted(' '.join(map(str, action.choices)))}"
            elif takes_value(action):
                value = " -r" if arguments.is_path(action) else " -x"
            yield f"{where} {names}{value} -d {_fish_quoted(_does(action))}"
        if command in TAKES_RUN:
            yield f"{where} -a '(for run in {DEFAULT_PARENT}/*/; echo $run; end)'"
        elif command in WORDS:
            yield f"{where} -f -a {_fish_quoted(' '.join(WORDS[command]))}"


def _does(action: argparse.Action) -> str:
    return (action.help or "").partition(" (default")[0]


def _zsh_option(action: argparse.Action) -> str:
    names = action.option_strings
    does = _does(action).replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = ""
    if action.choices is not None:
        value = f":value:({' '.join(map(str, action.choices))})"
    elif takes_value(action):
        value = ":value:_files" if arguments.is_path(action) else ":value: "
    repeats = "*" if "(repeatable)" in _does(action) else f"({' '.join(names)})"
    return " ".join(_zsh_quoted(f"{repeats}{name}[{does}]{value}") for name in names)


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _filled(template: str, **parts: str) -> str:
    for name, part in parts.items():
        template = template.replace(f"@{name}@", part)
    return template
