"""`check`: check the configuration exactly as `serve` does, and list every problem with its path and remedy."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.first_run import first_configuration
from gateway.cli.main import COMMANDS, config_option, print_problems
from gateway.cli.serving_options import serving_options
from gateway.core.errors import ConfigError
from gateway.validation import Valid, validated

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`check [--config FILE]`, with the options of `serve` that the configuration has to suit."""
    parser = sub.add_parser("check", help=COMMANDS["check"], description=__doc__)
    config_option(parser)
    serving_options(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the gateway would start, 1 when it would not; problems go to standard error."""
    path = Path(args.config) if args.config else None
    if first := first_configuration(path, os.environ):
        print(f"ok: there is no {first.path} yet; the first start writes it, with an agent 'main' on {first.model}")
        return 0
    try:
        valid = validated(
            path, os.environ, port=args.port, bind=args.bind, workers=args.workers, endpoints=args.endpoints
        )
    except ConfigError as error:
        print_problems(error)
        count = len(error.problems)
        print(f"{count} problem{'' if count == 1 else 's'}; the gateway would not start", file=sys.stderr)
        return 1
    for line in _report(valid):
        print(line)
    return 0


def _report(valid: Valid) -> list[str]:
    loaded = valid.loaded
    lines = [f"warning: {warning}" for warning in valid.warnings]
    if loaded.inert:
        lines.append(f"accepted, has no effect: {', '.join(loaded.inert)}")
    if loaded.ignored:
        lines.append(f"not served here and ignored: {', '.join(loaded.ignored)}")
    if loaded.config.gateway.auth.generated:
        lines.append("warning: no token is configured; every caller is refused until one is (see `token`)")
    return [*lines, f"ok: {loaded.path}"]
