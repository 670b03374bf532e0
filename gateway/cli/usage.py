"""`openclaw-gateway usage`: what agents, models and callers used and cost, from the ledger of the running gateway."""

import argparse
import sys
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from gateway.cli.api import answer_in, chosen_url, credential, gateway_to_ask, open_url, problem_in
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.output import print_table
from gateway.core.jsonio import InvalidJSON
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_TIMEOUT = 60.0  # seconds
_COLUMNS = {
    "attempts": "attempts",
    "failed": "failed",
    "prompt_tokens": "prompt",
    "cached_tokens": "cached",
    "completion_tokens": "completion",
    "cost": "cost $",
}


def add_parser(sub: "Subparsers") -> None:
    """`usage [--by COLUMNS] [--since AGE] [--until AGE] [--format FORMAT] [--config FILE] [--url URL]`."""
    parser = sub.add_parser("usage", help=COMMANDS["usage"], description=__doc__)
    columns = "agent, model, provider, caller, day, outcome, endpoint, key, session; up to three with commas, or row"
    parser.add_argument("--by", default="agent", metavar="COLUMNS", help=f"{columns} (default: agent)")
    parser.add_argument("--since", default="7d", metavar="AGE", help="such as 7d, 12h or 30m (default: 7d)")
    parser.add_argument("--until", metavar="AGE", help="the same (default: now)")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="default: table")
    parser.add_argument("--json", action="store_const", dest="format", const="json", help="the same as --format json")
    config_option(parser)
    parser.add_argument("--url", help="URL of the gateway (default: this machine, the configured port)")


def run(args: argparse.Namespace) -> int:
    """Print the report. 0, or 1 when the gateway refuses or doesn't answer, 2 for a wrong command line."""
    gateway = gateway_to_ask(args.config)
    base = chosen_url(args.url, gateway)
    if base is None:
        return 2
    if args.format == "table" and args.by == "row":
        print("usage: --by row needs --format json or csv", file=sys.stderr)
        return 2
    query = {"by": args.by, "since": args.since, "format": "csv" if args.format == "csv" else "json"}
    if args.until:
        query["until"] = args.until
    request = urllib.request.Request(  # noqa: S310  checked above
        f"{base}/api/v1/usage?{urlencode(query)}", headers=credential(gateway)
    )
    try:
        with open_url(request, gateway, _TIMEOUT) as response:
            return _print(response, args.format)
    except InvalidJSON:
        print(f"what answers at {base} is no openclaw-gateway; check the port, or --url", file=sys.stderr)
    except HTTPError as error:
        print(printable(problem_in(error.read().decode("utf-8", "replace"), error.code)), file=sys.stderr)
    except (URLError, OSError) as error:
        print(f"no gateway answers at {base}: {getattr(error, 'reason', error)}", file=sys.stderr)
    return 1


def _print(response: Any, form: str) -> int:
    if form != "table":
        for line in response:
            text = line.decode()
            print(printable(text, lines=True) if sys.stdout.isatty() else text, end="")
        if form == "json" and sys.stdout.isatty():
            print()
        return 0
    report = answer_in(response.read())
    heads = [*report["by"], *_COLUMNS.values()]
    lines = [[*(str(row[name]) or "-" for name in report["by"]), *_numbers(row)] for row in report["data"]]
    lines.sort(key=lambda line: line[: len(report["by"])])
    total = ["total", *[""] * (len(report["by"]) - 1), *_numbers(report["total"])]
    print_table(heads, [*lines, total], numbers=len(_COLUMNS), is_report=True)
    if unpriced := report["total"]["unpriced_attempts"]:
        print(f"Attempts without a known price, not in the cost: {unpriced}", file=sys.stderr)
    if estimated := report["total"]["estimated_attempts"]:
        print(f"Attempts with estimated tokens, as the provider reported none: {estimated}", file=sys.stderr)
    if lost := report["lost_rows"]:
        print(f"Rows that are lost, because a process was killed or the store did not keep up: {lost}", file=sys.stderr)
    if unwritten := report.get("unwritten_rows"):
        print(f"Rows that are missing here, because the store can't be written: {unwritten}", file=sys.stderr)
    return 0


def _numbers(row: dict[str, Any]) -> list[str]:
    cells = []
    for name in _COLUMNS:
        value = row[name]
        cells.append("unknown" if value is None else f"{value:.6f}" if name == "cost" else f"{value}")
    return cells
