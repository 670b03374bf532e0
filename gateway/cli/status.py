"""`openclaw-gateway status`: the state of the running gateway, its instances, cooldowns, queues and store.

`--ready` asks only for readiness, for health checks: it runs every few seconds, so it imports no more than it needs.
"""

import argparse
import json
import os
import sys
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError

from gateway.cli.main import COMMANDS, EXIT_CONFIG, config_option, print_problems
from gateway.core.errors import ConfigError
from gateway.core.printable import printable

if TYPE_CHECKING:
    import ssl

    from gateway.cli.main import Subparsers

_TIMEOUT = 5.0  # seconds
_AWAY = "no"
_NO_HTTP = "it speaks no HTTP; with TLS, name an https URL"


def add_parser(sub: "Subparsers") -> None:
    """`status [--config FILE] [--url URL] [--ready] [--json]`."""
    parser = sub.add_parser("status", help=COMMANDS["status"], description=__doc__)
    config_option(parser)
    parser.add_argument("--url", help="URL of the gateway (default: this machine, the configured port)")
    parser.add_argument("--ready", action="store_true", help="ask only whether it is ready, without a credential")
    parser.add_argument("--json", action="store_true", help="print the object of GET /api/v1/status")


def run(args: argparse.Namespace) -> int:
    """0 when the gateway is ready and, without `--ready`, accepts our credential; 1 otherwise; 78 when our own
    configuration is bad.
    """
    port = os.environ.get("OPENCLAW_GATEWAY_PORT", "")
    if args.ready and (args.url or port.isdecimal()):
        base = (args.url or f"http://127.0.0.1:{port}").rstrip("/")
        ready, text = _get(f"{base}/readyz")
        if text != _NO_HTTP or args.url:
            print(f"ready   {printable(text)}")
            return 0 if ready else 1
    return _status(args)  # the configuration says whether the gateway speaks TLS


def _status(args: argparse.Namespace) -> int:
    # Half a second that a health check must not cost.
    from gateway.cli.api import ask, base_url, trust  # noqa: PLC0415
    from gateway.config.load import load  # noqa: PLC0415

    try:
        loaded = load(Path(args.config) if args.config else None, os.environ)
    except ConfigError as error:
        print("config  the file is refused; a running gateway goes on with the last one that it accepted")
        print_problems(error)
        _print_readiness_beside_refused(args)
        return EXIT_CONFIG
    gateway = loaded.config.gateway
    base = (args.url or base_url(gateway)).rstrip("/")
    if args.ready or not base.startswith(("http://", "https://")):
        return 0 if _print_readiness(base, trust(gateway, f"{base}/")) else 1
    status = ask("GET", f"{base}/api/v1/status", gateway, timeout=_TIMEOUT)
    if "problem" in status:
        if _print_readiness(base, trust(gateway, f"{base}/")) is not None:
            print(printable(status["problem"]), file=sys.stderr)
        elif not (args.url or loaded.path.exists()):
            print(f"There is no {printable(str(loaded.path))}, so this is the default port.", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(status, indent=2))
    else:
        _print(status, ask("GET", f"{base}/v1/models", gateway, timeout=_TIMEOUT))
    return 0 if status["ready"] else 1


def _print(status: dict[str, Any], models: dict[str, Any]) -> None:
    from gateway.cli.output import print_fields  # noqa: PLC0415
    from gateway.cli.status_report import fields_of, readiness_of  # noqa: PLC0415

    agents = models["problem"] if "problem" in models else ", ".join(model["id"] for model in models["data"])
    print_fields([("ready", readiness_of(status)), ("agents", agents), *fields_of(status)])


def _print_readiness_beside_refused(args: argparse.Namespace) -> None:
    """Ask the gateway that may run with an earlier version of a file that is refused."""
    from gateway.config import document  # noqa: PLC0415
    from gateway.config.environment import config_file  # noqa: PLC0415
    from gateway.config.gateway import GatewayConfig  # noqa: PLC0415

    port: Any = os.environ.get("OPENCLAW_GATEWAY_PORT")
    if not (args.url or port):
        file = config_file(Path(args.config) if args.config else None, os.environ)
        with suppress(ConfigError, LookupError, TypeError):  # it may be no JSON5, or name no port
            port = document.read(file, os.environ)["gateway"]["port"]
    base = args.url or f"http://127.0.0.1:{port or GatewayConfig().port}"
    if _print_readiness(base.rstrip("/")) is None and not (args.url or port):
        print("This is the default port, as the file's can't be read; or name the gateway by --url.", file=sys.stderr)


def _print_readiness(base: str, context: "ssl.SSLContext | None" = None) -> bool | None:
    """Whether it is ready, None if nobody answers."""
    ready, text = _get(f"{base}/readyz", context)
    print(f"ready   {printable(text)}")
    return None if text == _AWAY else ready


def _get(url: str, context: "ssl.SSLContext | None" = None) -> tuple[bool, str]:
    if not url.startswith(("http://", "https://")):
        return False, "not an http(s) URL"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT, context=context) as response:  # noqa: S310  checked above
            return True, response.read().decode()
    except HTTPError as error:
        return False, f"{error.code} {error.read().decode('utf-8', 'replace')}"
    except (HTTPException, ConnectionResetError):
        return False, _NO_HTTP
    except (URLError, OSError) as error:
        print(f"no gateway answers at {url}: {getattr(error, 'reason', error)}", file=sys.stderr)
        return False, _AWAY
