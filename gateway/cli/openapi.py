"""`openclaw-gateway openapi`: the OpenAPI document of the endpoints that `--config` enables, else of all of them."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import load
from gateway.routes import document_of

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_ALL = frozenset({"chatCompletions", "responses", "messages"})


def add_parser(sub: "Subparsers") -> None:
    """`openapi [--config FILE]`."""
    config_option(sub.add_parser("openapi", help=COMMANDS["openapi"], description=__doc__))


def run(args: argparse.Namespace) -> int:
    """Print it."""
    endpoints = _ALL
    if args.config:
        endpoints = load(Path(args.config), os.environ).config.gateway.http.endpoints.enabled
    sys.stdout.write(document_of(endpoints).decode() + "\n")
    return 0
