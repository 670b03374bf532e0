"""`openclaw-gateway budgets`: list what is used of budgets, or show one of them, as the running gateway counts it."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from gateway.cli.api import ask, chosen_url, gateway_to_ask
from gateway.cli.main import COMMANDS, config_option
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_DIMENSIONS = ("identity", "agent", "model")
_COLUMNS = ("budget", "of", "used", "reserved", "amount", "percent", "window ends")
_LIMIT = 1000


def add_parser(sub: "Subparsers") -> None:
    """`budgets list|show [NAME] [--identity X] [--agent X] [--model X] [--json] [--config FILE] [--url URL]`."""
    parser = sub.add_parser("budgets", help=COMMANDS["budgets"], description=__doc__)
    config_option(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the budgets of which something is used, the most used ones first")
    show = actions.add_parser("show", help="show one budget for every client under it, used or not")
    show.add_argument("name", metavar="NAME", help="as in the list, such as agents-budget")
    for action in (listing, show):
        config_option(action, of_action=True)
        action.add_argument("--identity", metavar="WHO", help="only of this client, such as user:alice or owner")
        action.add_argument("--agent", metavar="ID", help="only of this agent")
        action.add_argument("--model", metavar="PROVIDER/MODEL", help="only of this model")
        action.add_argument("--json", action="store_true", help="one JSON object per line")
        action.add_argument("--url", help="URL of the gateway (default: this machine, the configured port)")


def run(args: argparse.Namespace) -> int:
    """0, or 1 when the gateway refuses, does not answer or has no such budget, 2 for a wrong URL."""
    gateway = gateway_to_ask(args.config)
    base = chosen_url(args.url, gateway)
    if base is None:
        return 2
    query = {name: value for name in _DIMENSIONS if (value := getattr(args, name)) is not None}
    if args.action == "show":
        query["name"] = args.name
    answer = ask("GET", f"{base}/api/v1/budgets?{urlencode({**query, 'limit': _LIMIT})}", gateway)
    if "problem" in answer:
        print(printable(str(answer["problem"])), file=sys.stderr)
        return 1
    if args.action == "show" and not answer["data"]:
        print(f"There is no budget {printable(args.name)}; `budgets list` names those in use.", file=sys.stderr)
        return 1
    _print(answer, as_json=args.json)
    return 0


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        for budget in answer["data"]:
            print(json.dumps(budget))
    else:
        rows = [_row(budget) for budget in answer["data"]]
        if not rows:
            print("Nothing is used of any budget.", file=sys.stderr)
        elif sys.stdout.isatty():
            rows = [list(_COLUMNS), *rows]
            widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
            rows = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
        for row in rows:
            print("  ".join(row).rstrip() if sys.stdout.isatty() else "\t".join(row))
    if answer["has_more"]:
        print(f"{len(answer['data'])} of {answer['total']}; filters show others", file=sys.stderr)


def _row(budget: dict[str, Any]) -> list[str]:
    values = [str(budget[name]) for name in _DIMENSIONS if name in budget]
    unit = "USD" if budget["unit"] == "usd" else "tokens"
    cells = (
        budget["name"],
        " ".join(values) or "all",
        _number(budget["used"]),
        _number(budget["reserved"]),
        f"{_number(budget['amount'])} {unit}" + ("" if budget["hard"] else " (only warns)"),
        f"{budget['percent']} %",
        budget["window_ends_at"] or "not begun",
    )
    return [printable(cell) for cell in cells]


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
