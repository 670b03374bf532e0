"""The options of `serve` that a configuration has to suit; `check` takes them too."""

import argparse


def serving_options(parser: argparse.ArgumentParser) -> None:
    """`--port N`, `--bind WHERE`, `--workers N`."""
    parser.add_argument("--port", type=int, help="port to listen on (default: gateway.port, 18789)")
    parser.add_argument("--bind", choices=("loopback", "lan", "auto", "custom"), help="where to listen")
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes on the port (default: 1); more need Redis"
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count
