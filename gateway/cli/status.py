"""`openclaw-gateway status`: ask the running gateway whether it is alive, ready, and lets us in."""

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

from gateway.cli.check import BUILT_IN
from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import load

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_TIMEOUT = 5.0  # seconds


def add_parser(sub: "Subparsers") -> None:
    """`status [--config FILE] [--url URL]`."""
    parser = sub.add_parser("status", help=COMMANDS["status"], description=__doc__)
    config_option(parser)
    parser.add_argument("--url", help="where the gateway is (default: this machine, the configured port)")


def run(args: argparse.Namespace) -> int:
    """0 when the gateway is ready and our credential works, 1 otherwise."""
    loaded = load(Path(args.config) if args.config else None, os.environ, catalogue=BUILT_IN)
    gateway = loaded.config.gateway
    base = (args.url or f"http://127.0.0.1:{gateway.port}").rstrip("/")
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
    ready, ready_text = _get(f"{base}/readyz", {})
    print(f"ready   {ready_text}")
    listed, listed_text = _get(f"{base}/v1/models", headers)
    if listed:
        print("agents  " + ", ".join(model["id"] for model in json.loads(listed_text)["data"]))
    else:
        print(f"agents  {listed_text}")
    return 0 if ready and listed else 1


def _get(url: str, headers: dict[str, str]) -> tuple[bool, str]:
    if not url.startswith(("http://", "https://")):
        return False, "not an http(s) URL"
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  checked above
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            return True, response.read().decode()
    except HTTPError as error:
        return False, f"{error.code} {error.read().decode('utf-8', 'replace')}"
    except (URLError, OSError) as error:
        print(f"no gateway answers at {url}", file=sys.stderr)
        return False, str(error)
