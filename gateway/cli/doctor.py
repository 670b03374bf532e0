"""`openclaw-gateway doctor`: look for faults of the set-up, and name for each what to type. No call costs money.

With `--url`, the running gateway examines itself; with `--deep` besides, also what is between it and this machine.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gateway.cli.api import ask, credential, trust
from gateway.cli.first_run import first_configuration
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.output import amount, styled
from gateway.cli.serving import listen_host
from gateway.cli.serving_options import serving_options
from gateway.config.gateway import GatewayConfig
from gateway.config.load import load
from gateway.config.secret_values import secret_values
from gateway.core.printable import printable
from gateway.doctor.diagnosis import diagnose, in_order, selected
from gateway.doctor.finding import Finding
from gateway.doctor.front import check_front
from gateway.doctor.kinds import KINDS
from gateway.doctor.setup import load_setup
from gateway.observe import log as logs

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_COLORS = {"error": "31", "warning": "33", "info": "36"}
_FRONT = "front."


def add_parser(sub: "Subparsers") -> None:
    """`doctor [--config FILE] [--url URL] [--deep] [--json] [--fix] [--strict] [--only ID]`, and those of `serve`."""
    parser = sub.add_parser("doctor", help=COMMANDS["doctor"], description=__doc__)
    config_option(parser)
    serving_options(parser)
    parser.add_argument("--url", help="let the running gateway at this URL examine itself")
    parser.add_argument("--deep", action="store_true", help="also what takes seconds, or writes a key to Redis")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--fix", action="store_true", help="correct file modes; nothing else is changed")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="an id, or a group such as redis; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """0 without errors, 1 with one (with `--strict` also with a warning) or without an answer of the gateway, 2 for a
    wrong command line.
    """
    try:
        ids = selected(args.only, deep=args.deep)
        _require_sense(args, ids)
    except ValueError as error:
        print(f"doctor: {error}", file=sys.stderr)
        return 2
    logs.configure(stream_is_tty=sys.stderr.isatty(), level="error")  # a finding says what a warning would
    path = Path(args.config) if args.config else None
    findings: Sequence[Finding] | None
    fixed: Sequence[Finding] = ()
    if args.url:
        findings = _ask(args, path, ids)
        if findings is None:
            return 1
    elif first := first_configuration(path, os.environ):
        seen = f"there is no {first.path} yet; its agent 'main' will use {first.model}"
        findings = [Finding("config.first-run", seen, "openclaw-gateway serve")]
    else:
        findings, fixed = asyncio.run(_examine(args, path, ids))
    if args.json:
        report = {"findings": [one.as_dict() for one in findings], "fixed": [one.as_dict() for one in fixed]}
        print(json.dumps(report, indent=2))
    else:
        _print(findings, fixed)
    severities = {finding.severity for finding in findings}
    return 1 if "error" in severities or (args.strict and "warning" in severities) else 0


def _require_sense(args: argparse.Namespace, ids: frozenset[str]) -> None:
    """Raises ValueError for options that exclude each other."""
    if args.url and not args.url.startswith(("http://", "https://")):
        raise ValueError(f"--url: {args.url} is not an http(s) URL")
    if args.url and args.fix:
        raise ValueError("--fix changes files of this machine, so it can't be used with --url")
    if not args.url and all(one.startswith(_FRONT) for one in ids):
        raise ValueError("--only front needs --url, the address that clients use")


async def _examine(
    args: argparse.Namespace, path: Path | None, ids: frozenset[str]
) -> tuple[list[Finding], list[Finding]]:
    """What remains, and with `--fix` what was corrected."""
    setup = load_setup(path, os.environ, port=args.port, bind=args.bind, workers=args.workers, endpoints=args.endpoints)
    gateway = GatewayConfig() if setup.valid is None else setup.valid.loaded.config.gateway
    findings = await diagnose(setup, ids, host=listen_host(gateway), deep=args.deep)
    fixed = [finding for finding in findings if args.fix and _fix(finding)]
    return [finding for finding in findings if finding not in fixed], fixed


def _ask(args: argparse.Namespace, path: Path | None, ids: frozenset[str]) -> list[Finding] | None:
    """The report of the running gateway; None if there is none. Raises ConfigError: our credential is in the file."""
    config = load(path, os.environ).config
    base = args.url.rstrip("/")
    findings: list[Finding] = []
    if args.deep and any(one.startswith(_FRONT) for one in ids):
        findings += check_front(base, credential(config.gateway), trust(config.gateway, f"{base}/"), time.time())
    if any(finding.id in ("front.tls", "front.unreachable", "front.attribution") for finding in findings):
        return in_order(findings, secret_values(config))  # the gateway can't be asked this way either
    query = {"deep": "true"} if args.deep else {}
    if names := [name for name in args.only if not f"{name}.".startswith(_FRONT)]:
        query["only"] = ",".join(names)
    if names or not args.only:
        answer = ask("GET", f"{base}/api/v1/doctor?{urlencode(query)}", config.gateway)
        if "problem" in answer:
            print(printable(str(answer["problem"]), lines=True), file=sys.stderr)
            return None
        findings += map(Finding.from_dict, answer["findings"])
    # A newer gateway may have ids that this program does not know.
    return in_order((one for one in findings if one.id in ids or one.id not in KINDS), secret_values(config))


def _fix(finding: Finding) -> bool:
    if finding.mode is None:
        return False
    path, mode = finding.mode
    try:
        path.chmod(mode)
    except OSError as error:
        print(f"{path}: the mode can't be changed ({error.strerror})", file=sys.stderr)
        return False
    return True


def _print(findings: Sequence[Finding], fixed: Sequence[Finding]) -> None:
    for finding in fixed:
        print(printable(f"fixed    {finding.id}: {finding.seen} ({finding.fix})"))
    for finding in findings:
        severity = styled(f"{finding.severity:<8}", _COLORS[finding.severity])
        print(f"{severity} {printable(f'{finding.id}: {finding.seen}')}")
        print(printable(f"         why: {finding.why}"))
        print(printable(f"         fix: {finding.fix}"))
    print(_summary(findings))


def _summary(findings: Sequence[Finding]) -> str:
    parts = []
    for severity, noun in (("error", "error"), ("warning", "warning"), ("info", "note")):
        if count := sum(finding.severity == severity for finding in findings):
            parts.append(amount(count, noun))
    return ", ".join(parts) or "no findings"
