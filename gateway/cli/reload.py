"""`openclaw-gateway reload`: let the running gateway load its changed configuration, and report what came of it."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.api import ask, chosen_url
from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import load
from gateway.core.client_key import format_time
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`reload [--config FILE] [--url URL] [--json]`."""
    parser = sub.add_parser("reload", help=COMMANDS["reload"], description=__doc__)
    config_option(parser)
    parser.add_argument("--url", help="URL of the gateway (default: this machine, the configured port)")
    parser.add_argument("--json", action="store_true", help="print the object of GET /api/v1/config")


def run(args: argparse.Namespace) -> int:
    """0 when the configuration is in force, 1 when it is refused or no gateway answers, 2 for a wrong command line.

    Raises ConfigError for a bad configuration: the gateway would refuse it as well, and keeps the last one.
    """
    gateway = load(Path(args.config) if args.config else None, os.environ).config.gateway
    base = chosen_url(args.url, gateway)
    if base is None:
        return 2
    answer = ask("POST", f"{base}/api/v1/reload", gateway)
    if "problem" in answer:
        print(printable(str(answer["problem"]), lines=True), file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2) if args.json else report(answer))
    return 0


def report(status: dict[str, Any]) -> str:
    """What `GET /api/v1/config` says, in one line or two."""
    last = status["last_reload"]
    lines = [f"generation {status['generation']} since {format_time(status['since'])}"]
    if last:
        lines[0] += f", last reload {last['status']}"
        lines += [f"refused: {problem}" for problem in last["problems"]]
        lines += [f"needs a restart: {key}" for key in last["needs_restart"]]
    return "\n".join(printable(line) for line in lines)
