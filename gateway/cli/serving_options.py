"""The options of `serve` that a configuration has to suit; `check` takes them too."""

import argparse

ENDPOINTS = {"chat": "chatCompletions", "responses": "responses", "messages": "messages"}
"""Name on the command line → key of `gateway.http.endpoints`."""


def serving_options(parser: argparse.ArgumentParser) -> None:
    """`--port N`, `--bind WHERE`, `--endpoints LIST`, `--workers N`."""
    parser.add_argument("--port", type=int, help="port to listen on (default: gateway.port, 18789)")
    parser.add_argument("--bind", choices=("loopback", "lan", "auto", "custom"), help="where to listen")
    parser.add_argument(
        "--endpoints",
        type=_endpoints,
        default=(),
        metavar="LIST",
        help=f"enable these endpoints for this run, whatever the file says: {', '.join(ENDPOINTS)}",
    )
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes on the port (default: 1); more need Redis"
    )


def _endpoints(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in ENDPOINTS]:
        raise argparse.ArgumentTypeError(f"there is no endpoint {unknown[0]!r}; known are {', '.join(ENDPOINTS)}")
    return tuple(ENDPOINTS[name] for name in names)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count
