"""`openclaw-gateway locks`: list the clients that are locked out after too many wrong secrets, or release one.

The running gateway is asked, so that a release holds at every instance, also while Redis is away from some of them.
"""

import argparse
import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.cli.api import ask, base_url, gateway_to_ask
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.output import on_terminal, print_table
from gateway.config.gateway import GatewayConfig
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`locks list|release [KEY] [--json] [--config FILE] [--url URL]...`."""
    parser = sub.add_parser("locks", help=COMMANDS["locks"], description=__doc__)
    parser.add_argument("action", choices=("list", "release"))
    parser.add_argument("key", nargs="?", metavar="KEY", help="what to release: an address, or a key of the list")
    config_option(parser)
    parser.add_argument("--json", action="store_true", help="list one JSON object per line")
    where = (
        "where the gateway is (default: this machine, the configured port); may be repeated to ask several instances"
    )
    parser.add_argument("--url", action="append", help=where)


def run(args: argparse.Namespace) -> int:
    """0 when it is done, 1 when a gateway refuses or doesn't answer, 2 for a wrong command line."""
    if args.action == "release" and not args.key:
        print("locks release: name what to release, an address or a key of `locks list`", file=sys.stderr)
        return 2
    gateway = gateway_to_ask(args.config)
    bases = [url.rstrip("/") for url in args.url or [base_url(gateway)]]
    for base in bases:
        if not base.startswith(("http://", "https://")):
            print(f"--url: {base} is not an http(s) URL", file=sys.stderr)
            return 2
    if args.action == "list":
        return _list(bases, gateway, as_json=args.json)
    return _release(args.key, bases, gateway)


def _list(bases: list[str], gateway: GatewayConfig, *, as_json: bool) -> int:
    locks: dict[str, int] = {}
    failed = False
    for base in bases:
        answer = ask("GET", f"{base}/api/v1/locks", gateway)
        if "data" in answer:
            for lock in answer["data"]:
                locks[lock["key"]] = max(lock["seconds"], locks.get(lock["key"], 0))
        else:
            failed = True
            print(printable(str(answer["problem"])), file=sys.stderr)
    held = sorted(locks.items(), key=lambda lock: lock[1])
    if as_json:
        for key, seconds in held:
            print(json.dumps({"key": key, "seconds": seconds}))
    elif held or not on_terminal():
        print_table(("client", "locked for"), [(key, f"{seconds} s") for key, seconds in held])
    elif not failed:
        print("No client is locked out.", file=sys.stderr)
    return int(failed)


def _release(key: str, bases: list[str], gateway: GatewayConfig) -> int:
    answers = [ask("DELETE", f"{base}/api/v1/locks?key={quote(key, safe='')}", gateway) for base in bases]
    released = [answer for answer in answers if "problem" not in answer]
    # The release at one instance may have reached the next one before it was asked.
    unknown = [answer for answer in answers if answer.get("code") == "lock_not_found"]
    failed = len(released) + (len(unknown) if released else 0) < len(bases)
    for answer in answers:
        if "problem" in answer and not (released and answer in unknown):
            print(printable(str(answer["problem"])), file=sys.stderr)
    if released:
        print(f"released {printable(str(released[0]['key']))}")
        if any(answer["pending"] for answer in released):
            print(
                "Redis is away: other gateways with this state directory follow within a second, those on other "
                "machines when Redis is back",
                file=sys.stderr,
            )
    return int(failed)
