"""The command line: find the command, import its module alone, run it.

A command is a module of this package with `add_parser(sub)` and `run(args) -> int`; adding one is a file and a row.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, cast

from gateway.cli.signals import ignore_harmless
from gateway.core.errors import ConfigError
from gateway.core.printable import printable

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

PROGRAM = "openclaw-gateway"
EXIT_CONFIG = 78
"""The exit status of OpenClaw for a bad configuration too (sysexits' EX_CONFIG)."""

COMMANDS = {
    "serve": "run the gateway (the default command)",
    "budgets": "show what is used of budgets",
    "check": "check the configuration and list every problem",
    "agent": "run one agent turn and print the answer",
    "completion": "print the completion of commands and options for bash, zsh or fish",
    "doctor": "look for faults of the set-up, and name what to type for each",
    "import": "import an OpenClaw installation: report what works, and write a configuration",
    "keys": "make, list or revoke keys of clients",
    "locks": "list the clients that are locked out, or release one",
    "models": "list agents, providers and models",
    "openapi": "print the OpenAPI document of all endpoints",
    "reload": "let the running gateway load its changed configuration",
    "service": "write a systemd unit for the gateway",
    "status": "ask whether a running gateway is ready",
    "token": "print a new token",
    "usage": "show what agents, models and callers used and cost",
}


_PIPE_CLOSED = 141  # as of a program that SIGPIPE ends


class Command(Protocol):
    """A command's module."""

    def add_parser(self, sub: "Subparsers") -> None:
        """Add the command's parser, named as in COMMANDS; `config_option` gives it `--config`."""

    def run(self, args: argparse.Namespace) -> int:
        """Run the command. Returns the exit status; `main` prints a ConfigError."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named first in `argv`, or `serve`; exits with 2 on a wrong command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"], ["--version"]):
        _overview().parse_args(words)
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    if name not in COMMANDS:
        _overview().parse_args([name])
    if name == "serve" and argv is None:  # the process is this command's own
        ignore_harmless()
    parser = _Parser(prog=PROGRAM)
    try:
        command = _command(name)
        command.add_parser(parser.add_subparsers(dest="command", required=True, parser_class=_Parser))
        status = command.run(parser.parse_args([name, *words]))
        sys.stdout.flush()
    except BrokenPipeError:  # who reads the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered goes nowhere
        return _PIPE_CLOSED
    except ConfigError as error:
        print_problems(error)
        return EXIT_CONFIG
    except KeyboardInterrupt:
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    """Lets the parser of the command or action report what it does not know, with its own usage.

    argparse leaves that to the outermost parser, whose usage names none of the command's options.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See ArgumentParser; there is nothing unknown in what it returns."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def _command(name: str) -> Command:
    """The command's module. The garbage collector waits meanwhile: it would examine the new modules again and again,
    which live until the end, for a seventh of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return cast(Command, import_module(f"gateway.cli.{name}"))
    finally:
        if collects:
            gc.enable()


def config_option(parser: argparse.ArgumentParser, *, of_action: bool = False) -> None:
    """Give `parser` the option that all commands have; `args.config` is a path as text, or None.

    `of_action`: the parser is that of an action, and its command has the option too.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS if of_action else None,  # an action's default would replace the command's value
        help="configuration file (else OPENCLAW_CONFIG_PATH, else openclaw.json in the state directory)",
    )


def print_problems(error: ConfigError) -> None:
    """One line per problem, on standard error."""
    for problem in error.problems:
        print(printable(problem, lines=True), file=sys.stderr)


def _overview() -> argparse.ArgumentParser:
    """The parser behind `--help` and wrong commands: all names, no module imported."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="OpenAI-compatible gateway for OpenClaw agents.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version(PROGRAM)}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser
