"""`openclaw-gateway status`: ask the running gateway whether it is ready and accepts our credential.

`--ready` asks only for readiness, for health checks: it runs every few seconds, so it imports no more than it needs.
"""

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

from gateway.cli.main import COMMANDS, config_option
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers
    from gateway.config.gateway import GatewayConfig

_TIMEOUT = 5.0  # seconds


def add_parser(sub: "Subparsers") -> None:
    """`status [--config FILE] [--url URL] [--ready]`."""
    parser = sub.add_parser("status", help=COMMANDS["status"], description=__doc__)
    config_option(parser)
    parser.add_argument("--url", help="URL of the gateway (default: this machine, the configured port)")
    parser.add_argument("--ready", action="store_true", help="ask only whether it is ready, without a credential")


def run(args: argparse.Namespace) -> int:
    """0 when the gateway is ready and, without `--ready`, accepts our credential; 1 otherwise."""
    port = os.environ.get("OPENCLAW_GATEWAY_PORT", "")
    if args.ready and (args.url or port.isdecimal()):
        base = args.url or f"http://127.0.0.1:{port}"
        return 0 if _print_readiness(base.rstrip("/")) else 1
    gateway = _configured(args.config)
    base = (args.url or f"http://127.0.0.1:{gateway.port}").rstrip("/")
    ready = _print_readiness(base)
    if args.ready:
        return 0 if ready else 1
    secret = gateway.auth.token if gateway.auth.mode == "token" else gateway.auth.password
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
    accepted, text = _get(f"{base}/v1/models", headers)
    if accepted:
        print("agents  " + ", ".join(printable(model["id"]) for model in json.loads(text)["data"]))
    else:
        print(f"agents  {printable(text)}")
    return 0 if ready and accepted else 1


def _configured(config: str | None) -> "GatewayConfig":
    from gateway.config.load import load  # noqa: PLC0415 - half a second that a health check must not cost

    return load(Path(config) if config else None, os.environ).config.gateway


def _print_readiness(base: str) -> bool:
    ready, text = _get(f"{base}/readyz", {})
    print(f"ready   {printable(text)}")
    return ready


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
