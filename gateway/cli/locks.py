"""`openclaw-gateway locks`: list the clients that are locked out after too many wrong secrets, or release one.

The running gateway is asked, so that a release holds at every instance, also while Redis is away from some of them.
"""

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from gateway.cli.main import COMMANDS, config_option
from gateway.config.gateway import GatewayConfig
from gateway.config.load import load
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_TIMEOUT = 5.0  # seconds


def add_parser(sub: "Subparsers") -> None:
    """`locks list|release [KEY] [--config FILE] [--url URL]`."""
    parser = sub.add_parser("locks", help=COMMANDS["locks"], description=__doc__)
    parser.add_argument("action", choices=("list", "release"))
    parser.add_argument("key", nargs="?", metavar="KEY", help="what to release: an address, or a key of the list")
    config_option(parser)
    parser.add_argument("--url", help="where the gateway is (default: this machine, the configured port)")


def run(args: argparse.Namespace) -> int:
    """0 when it is done, 1 when the gateway refuses or doesn't answer, 2 when KEY is missing."""
    if args.action == "release" and not args.key:
        print("locks release: name what to release, an address or a key of `locks list`", file=sys.stderr)
        return 2
    gateway = load(Path(args.config) if args.config else None, os.environ).config.gateway
    base = (args.url or f"http://127.0.0.1:{gateway.port}").rstrip("/")
    if not base.startswith(("http://", "https://")):
        print(f"--url: {base} is not an http(s) URL", file=sys.stderr)
        return 2
    if args.action == "list":
        return _list(base, gateway)
    answer = _ask("DELETE", f"{base}/api/v1/locks?key={quote(args.key, safe='')}", gateway)
    if answer is None:
        return 1
    print(f"released {printable(str(answer['key']))}")
    return 0


def _list(base: str, gateway: GatewayConfig) -> int:
    answer = _ask("GET", f"{base}/api/v1/locks", gateway)
    if answer is None:
        return 1
    for lock in answer["data"]:
        print(printable(str(lock["key"])), f"{lock['seconds']} s", sep="\t")
    return 0


def _ask(method: str, url: str, gateway: GatewayConfig) -> Any:
    """The gateway's JSON, or None after the problem was printed."""
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310  checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            return json.load(response)
    except HTTPError as error:
        print(f"{error.code} {printable(error.read().decode('utf-8', 'replace'))}", file=sys.stderr)
    except (URLError, OSError) as error:
        print(f"no gateway answers at {url}: {error}", file=sys.stderr)
    return None
