"""Commands and options → completion scripts of bash, zsh and fish. None of them starts the program."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.cli.command_tree import Node, Option
from gateway.cli.main import PROGRAM

_FUNCTION = PROGRAM.replace("-", "_")

# `$at` becomes the command and action before the cursor. The value of an option may be the name of a command.
_BASH = """\
# bash completion of {program}
_{function}() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" at="" skip="" word words="" i
    if [[ $cur == "=" ]]; then cur=""; elif [[ $prev == "=" ]]; then prev="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{COMP_WORDS[i]}}"
        if [[ -n $skip && $word != "=" ]]; then skip=""; continue; fi
        case "$at|$word" in
{paths}
{values}
        esac
    done
    case "$at|$prev" in
{choices}
{files}
{values_of_prev}
    esac
    case "$at" in
{words}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _{function} {program}
"""

_ZSH = """\
#compdef {program}
# zsh completion of {program}
_{function}() {{
    local at="" skip="" word i
    local -a words_here
    for ((i = 2; i < CURRENT; i++)); do
        word="${{words[i]}}"
        if [[ -n $skip ]]; then skip=""; continue; fi
        case "$at|$word" in
{paths}
{values}
        esac
    done
    case "$at|${{words[CURRENT-1]}}" in
{choices}
{files}
{values_of_prev}
    esac
    case "$at" in
{words}
    esac
    _describe '{program}' words_here
}}
compdef _{function} {program}
"""


def bash(nodes: Sequence[Node]) -> str:
    """A script for bash 3.2 or newer."""
    return _BASH.format(
        program=PROGRAM,
        function=_FUNCTION,
        **_cases(nodes),
        choices=_join(
            f"        {_options(node, option)}) COMPREPLY=($(compgen -W {_quoted(' '.join(option.choices))} "
            '-- "$cur")); return ;;'
            for node, option in _with_value(nodes)
            if option.choices
        ),
        files=_join(
            f"        {_options(node, option)}) compopt -o default 2>/dev/null; return ;;"
            for node, option in _with_value(nodes)
            if option.is_path
        ),
        words=_join(
            f"        {_quoted(node.name)}) {_files(node)}words={_quoted(' '.join(_texts(node)))} ;;" for node in nodes
        ),
    )


def zsh(nodes: Sequence[Node]) -> str:
    """A script for zsh 5, after `compinit`, or a file `_openclaw-gateway` in `$fpath`."""
    return _ZSH.format(
        program=PROGRAM,
        function=_FUNCTION,
        **_cases(nodes),
        choices=_join(
            f"        {_options(node, option)}) compadd -- {' '.join(map(_quoted, option.choices))}; return ;;"
            for node, option in _with_value(nodes)
            if option.choices
        ),
        files=_join(
            f"        {_options(node, option)}) _files; return ;;"
            for node, option in _with_value(nodes)
            if option.is_path
        ),
        words=_join(
            f"        {_quoted(node.name)}) {'_files; ' if node.takes_path else ''}words_here=("
            + " ".join(_quoted(f"{word}:{text}" if text else word) for word, text in _texts(node).items())
            + ") ;;"
            for node in nodes
        ),
    )


def fish(nodes: Sequence[Node]) -> str:
    """A script for fish 3."""
    lines = [f"# fish completion of {PROGRAM}", f"complete -c {PROGRAM} -f"]
    for node in nodes:
        condition = _fish_condition(node)
        start = f"complete -c {PROGRAM} -n {_quoted(condition)}"
        lines += [f"{start} -a {_quoted(word)} -d {_quoted(text)}" for word, text in node.words]
        if node.takes_path:
            lines.append(f"{start} -F")
        for option in node.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = ""
            if option.choices:
                value = f" -x -a {_quoted(' '.join(option.choices))}"
            elif option.value is not None:
                value = " -r -F" if option.is_path else " -x"
            lines.append(f"{start} {names}{value} -d {_quoted(option.help)}")
    return "\n".join(lines) + "\n"


SCRIPTS: Mapping[str, Callable[[Sequence[Node]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _cases(nodes: Sequence[Node]) -> dict[str, str]:
    """What bash and zsh have in common: how the words before the cursor lead to a command."""
    values = [_options(node, option) for node, option in _with_value(nodes)]
    plain = [_options(node, option) for node, option in _with_value(nodes) if not option.choices and not option.is_path]
    below = {node.path for node in nodes}
    return {
        "paths": _join(
            f"        {_quoted(f'{node.name}|{word}')}) at={_quoted(' '.join((*node.path, word)))} ;;"
            for node in nodes
            for word, _ in node.words
            if (*node.path, word) in below
        ),
        "values": _join(f"        {one}) skip=1 ;;" for one in values),
        "values_of_prev": _join(f"        {one}) return ;;" for one in plain),
    }


def _with_value(nodes: Iterable[Node]) -> list[tuple[Node, Option]]:
    return [(node, option) for node in nodes for option in node.options if option.value is not None]


def _options(node: Node, option: Option) -> str:
    return "|".join(_quoted(f"{node.name}|{name}") for name in option.names)


def _texts(node: Node) -> dict[str, str]:
    """What may stand next, with its help."""
    options = {name: option.help for option in node.options for name in option.names}
    return {**dict(node.words), **options}


def _files(node: Node) -> str:
    return "compopt -o default 2>/dev/null; " if node.takes_path else ""


def _fish_condition(node: Node) -> str:
    if not node.path:
        return "__fish_use_subcommand"
    return "; and ".join(f"__fish_seen_subcommand_from {word}" for word in node.path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _join(lines: Iterable[str]) -> str:
    return "\n".join(lines)
