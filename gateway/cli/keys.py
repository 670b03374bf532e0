"""`openclaw-gateway keys`: make, list and revoke keys of clients; `generate` prints one for the configuration.

The running gateway is asked, so that a change holds at every instance. `generate` asks nobody and stores nothing.
"""

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gateway.cli.api import ask, chosen_url, gateway_to_ask
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.output import print_table
from gateway.config.budgets import SECONDS
from gateway.config.gateway import GatewayConfig
from gateway.core.client_key import digest_of, new_key
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_COLUMNS = ("name", "scopes", "agents", "limits", "budget", "expires", "last used", "source")


def add_parser(sub: "Subparsers") -> None:
    """`keys create|list|revoke|generate [NAME] [--config FILE] [--url URL]`."""
    parser = sub.add_parser("keys", help=COMMANDS["keys"], description=__doc__)
    config_option(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key and print it; nobody can print it again")
    create.add_argument("name", metavar="NAME", help="the client's name: its identity for limits and conversations")
    create.add_argument("--scope", action="append", metavar="SCOPE", help="may be repeated (default: operator.write)")
    create.add_argument("--agent", action="append", metavar="ID", help="an agent it may use (default: all); repeatable")
    create.add_argument("--requests-per-minute", type=int, metavar="N")
    create.add_argument("--tokens-per-minute", type=int, metavar="N")
    create.add_argument("--concurrent-runs", type=int, metavar="N")
    amount = create.add_mutually_exclusive_group()
    amount.add_argument("--budget", type=int, metavar="N", help="tokens that it may use in the window")
    amount.add_argument("--budget-usd", type=float, metavar="X", help="US dollars that it may use in the window")
    create.add_argument("--budget-window", choices=tuple(SECONDS), default="month", help="(default: month)")
    create.add_argument("--expires", metavar="WHEN", help="a time such as 2027-01-31T00:00:00Z, or days such as 90d")
    listing = actions.add_parser("list", help="list all keys, without the keys themselves")
    revoke = actions.add_parser("revoke", help="revoke a key at every instance")
    revoke.add_argument("name", metavar="NAME")
    generate = actions.add_parser("generate", help="print a key and its digest for gateway.keys in the configuration")
    for action in (create, listing, revoke, generate):
        config_option(action, of_action=True)
    for action in (create, listing, revoke):
        action.add_argument("--json", action="store_true", help="print the gateway's object; of a list, one per line")
        action.add_argument("--url", help="URL of the gateway (default: this machine, the configured port)")


def run(args: argparse.Namespace) -> int:
    """0 when it is done, 1 when the gateway refuses or does not answer, 2 for a wrong command line."""
    if args.action == "generate":
        key = new_key()
        print(f"key     {key}\ndigest  sha256:{digest_of(key).hex()}")
        return 0
    gateway = gateway_to_ask(args.config)
    base = chosen_url(args.url, gateway)
    if base is None:
        return 2
    url = f"{base}/api/v1/keys"
    match args.action:
        case "create":
            return _create(args, url, gateway)
        case "revoke":
            return _revoke(args.name, url, gateway, as_json=args.json)
        case _:
            return _list(url, gateway, as_json=args.json)


def _create(args: argparse.Namespace, url: str, gateway: GatewayConfig) -> int:
    limits = {
        "requests_per_minute": args.requests_per_minute,
        "tokens_per_minute": args.tokens_per_minute,
        "concurrent_runs": args.concurrent_runs,
    }
    wanted = {
        "name": args.name,
        "scopes": args.scope,
        "agents": args.agent,
        "limits": limits,
        "budget": None
        if args.budget is None and args.budget_usd is None
        else {"tokens": args.budget, "usd": args.budget_usd, "window": args.budget_window},
        "expires_at": _expiry(args.expires),
    }
    answer = ask("POST", url, gateway, body=wanted)
    if "problem" in answer:
        return _problem(answer)
    print(json.dumps(answer) if args.json else printable(str(answer["key"])))
    print(f"Key {printable(args.name)} is made. Store it now: the gateway has only its digest.", file=sys.stderr)
    return 0


def _revoke(name: str, url: str, gateway: GatewayConfig, *, as_json: bool) -> int:
    answer = ask("DELETE", f"{url}/{quote(name, safe='@')}", gateway)
    if "problem" in answer:
        return _problem(answer)
    print(json.dumps(answer) if as_json else f"revoked {printable(name)}")
    if answer["pending"]:
        text = "The store is away: other instances accept the key until it is back, so keep this instance running."
        print(text, file=sys.stderr)
    return 0


def _list(url: str, gateway: GatewayConfig, *, as_json: bool) -> int:
    keys: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        answer = ask("GET", f"{url}?limit=1000&after={quote(after)}", gateway)
        if "problem" in answer:
            return _problem(answer)
        keys += answer["data"]
        after = answer["next"]
    if as_json:
        for key in keys:
            print(json.dumps(key))
        return 0
    print_table(_COLUMNS, map(_row, keys))
    return 0


def _row(key: dict[str, Any]) -> list[str]:
    expires = key["expires_at"] or "never"
    return [
        key["name"],
        ",".join(key["scopes"]) or "none",
        "all" if key["agents"] is None else ",".join(key["agents"]) or "none",
        ",".join(f"{name}={amount}" for name, amount in key["limits"].items()) or "none",
        _budget(key["budget"]),
        f"{expires} (expired)" if key["expired"] else expires,
        key["last_used_at"] or "never",
        key["source"],
    ]


def _budget(budget: dict[str, Any] | None) -> str:
    if budget is None:
        return "none"
    amount = f"{budget['tokens']} tokens" if "tokens" in budget else f"{budget['usd']:g} USD"
    return f"{amount} a {budget['window']}"


def _expiry(text: str | None) -> str | None:
    """`90d` as a time; any other text is the gateway's to judge."""
    if text is None or not (text.endswith("d") and text[:-1].isdecimal() and len(text) <= len("36500d")):
        return text
    return (datetime.now(UTC) + timedelta(days=int(text[:-1]))).isoformat()


def _problem(answer: dict[str, Any]) -> int:
    print(printable(str(answer["problem"])), file=sys.stderr)
    return 1
