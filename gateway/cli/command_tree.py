"""The commands with their options as data, read from their parsers. It imports every command."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from gateway.cli.main import COMMANDS, PROGRAM

FILES = ("FILE", "DIR")
"""The metavars of values that are paths."""


@dataclass(frozen=True, slots=True)
class Option:
    """`value` is the metavar of its value, None without one; `choices` are all values if they are known."""

    names: tuple[str, ...]
    help: str
    value: str | None
    choices: tuple[str, ...] = ()

    @property
    def is_path(self) -> bool:
        """Whether its value is a path."""
        return self.value in FILES


@dataclass(frozen=True, slots=True)
class Node:
    """A command or an action of one, named by its words, none for the program itself.

    `words` are what may follow, with their help: commands, actions, or the choices of an argument.
    """

    path: tuple[str, ...]
    options: tuple[Option, ...]
    words: tuple[tuple[str, str], ...] = ()
    takes_path: bool = False

    @property
    def name(self) -> str:
        """`keys create`; empty for the program itself."""
        return " ".join(self.path)


def command_tree() -> list[Node]:
    """All commands and their actions, the program itself first: its options are those of `serve`, the default."""
    parser = argparse.ArgumentParser(prog=PROGRAM)
    sub = parser.add_subparsers()
    for name in COMMANDS:
        import_module(f"gateway.cli.{name}").add_parser(sub)
    commands = [node for name, one in sub.choices.items() for node in _nodes((name,), one)]
    serve = next(node for node in commands if node.path == ("serve",))
    version = Option(("--version",), "print the version", None)
    return [Node((), (version, *serve.options), tuple(COMMANDS.items())), *commands]


def _nodes(path: tuple[str, ...], parser: argparse.ArgumentParser) -> Iterator[Node]:
    options, words, actions, takes_path = [], [], [], False
    for action in parser._actions:  # noqa: SLF001  argparse has no other way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  its only name
            texts = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001
            words += [(name, texts.get(name, "")) for name in action.choices]
            actions += list(action.choices.items())
        elif not action.option_strings:
            words += [(str(choice), "") for choice in action.choices or ()]
            takes_path = takes_path or action.metavar in FILES
        elif action.help is not argparse.SUPPRESS:
            options.append(_option(action))
    yield Node(path, tuple(options), tuple(words), takes_path)
    for name, one in actions:
        yield from _nodes((*path, name), one)


def _option(action: argparse.Action) -> Option:
    value = None if action.nargs == 0 else str(action.metavar or action.dest.upper())
    text = (action.help or "").replace("%(prog)s", PROGRAM)
    return Option(tuple(action.option_strings), text, value, tuple(map(str, action.choices or ())))
