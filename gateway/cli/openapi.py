"""`openclaw-gateway openapi`: the OpenAPI document of the endpoints that `--config` enables, else of all of them."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app import document_of, routes_for
from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import load
from gateway.config.root import Config

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_ON = {"enabled": True}
_ALL = {"gateway": {"http": {"endpoints": {"chatCompletions": _ON, "responses": _ON, "messages": _ON}}}}


def add_parser(sub: "Subparsers") -> None:
    """`openapi [--config FILE]`."""
    config_option(sub.add_parser("openapi", help=COMMANDS["openapi"], description=__doc__))


def run(args: argparse.Namespace) -> int:
    """Print it."""
    config = load(Path(args.config), os.environ).config if args.config else Config.model_validate(_ALL)
    sys.stdout.write(document_of(routes_for(config)).decode() + "\n")
    return 0
