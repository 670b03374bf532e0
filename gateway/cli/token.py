"""`token`: print a new secret for `gateway.auth.token`. Nothing is stored."""

import argparse
from typing import TYPE_CHECKING

from gateway.cli.main import COMMANDS, config_option
from gateway.config.starter import new_token

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`token [--config FILE]`; the option changes nothing, it is there because every command has it."""
    config_option(sub.add_parser("token", help=COMMANDS["token"], description=__doc__))


def run(_args: argparse.Namespace) -> int:
    """Print 64 hexadecimal digits."""
    print(new_token())
    return 0
