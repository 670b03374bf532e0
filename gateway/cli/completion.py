"""`openclaw-gateway completion`: print the completion of commands and options for a shell.

bash and zsh (after compinit) read it with `source <(openclaw-gateway completion bash)`, fish with
`openclaw-gateway completion fish | source`, at the end of their start-up file.
"""

import argparse
from typing import TYPE_CHECKING

from gateway.cli.command_tree import command_tree
from gateway.cli.completion_scripts import SCRIPTS
from gateway.cli.main import COMMANDS, config_option

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`completion bash|zsh|fish`."""
    parser = sub.add_parser("completion", help=COMMANDS["completion"], description=__doc__)
    parser.add_argument("shell", choices=tuple(SCRIPTS))
    config_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the script. It completes what this version has: print it again after an update."""
    print(SCRIPTS[args.shell](command_tree()), end="")
    return 0
