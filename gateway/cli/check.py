"""`check`: load the configuration as `serve` would, and list every problem with its path and remedy."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.main import COMMANDS, config_option, print_problems
from gateway.config.load import Loaded, load
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG
from gateway.upstream.configured import providers_from

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

BUILT_IN = frozenset({*CATALOG, "local"})
"""Ids of providers that need no configuration: the catalogue's, and the embedded model's."""


def add_parser(sub: "Subparsers") -> None:
    """`check [--config FILE]`."""
    config_option(sub.add_parser("check", help=COMMANDS["check"], description=__doc__))


def run(args: argparse.Namespace) -> int:
    """0 when the gateway would start, 1 when it would not; problems go to standard error."""
    try:
        loaded = load(Path(args.config) if args.config else None, os.environ, catalogue=BUILT_IN)
        providers_from(loaded.config.models, os.environ)
    except ConfigError as error:
        print_problems(error)
        count = len(error.problems)
        print(f"{count} problem{'' if count == 1 else 's'}; the gateway would not start", file=sys.stderr)
        return 1
    for line in _report(loaded):
        print(line)
    return 0


def _report(loaded: Loaded) -> list[str]:
    auth = loaded.config.gateway.auth
    lines = [f"warning: {warning}" for warning in loaded.warnings]
    if loaded.ignored:
        lines.append(f"not served here and ignored: {', '.join(loaded.ignored)}")
    if auth.generated:
        lines.append("warning: no token is configured; every caller is refused until one is (see `token`)")
    missing = "" if loaded.path.exists() else " (no such file; these are the defaults)"
    return [*lines, f"ok: {loaded.path}{missing}"]
