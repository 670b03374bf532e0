"""`openclaw-gateway doctor`: look for faults of the set-up, and name for each what to type. No call costs money."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.first_run import first_configuration
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.serve import listen_host
from gateway.cli.serving_options import serving_options
from gateway.config.gateway import GatewayConfig
from gateway.core.printable import printable
from gateway.doctor.diagnosis import diagnose, selected
from gateway.doctor.finding import Finding
from gateway.doctor.setup import load_setup
from gateway.observe import log as logs

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_COLORS = {"error": "31", "warning": "33", "info": "36"}


def add_parser(sub: "Subparsers") -> None:
    """`doctor [--config FILE] [--json] [--fix] [--strict] [--only ID]`, with the options of `serve`."""
    parser = sub.add_parser("doctor", help=COMMANDS["doctor"], description=__doc__)
    config_option(parser)
    serving_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--fix", action="store_true", help="correct file modes; nothing else is changed")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="an id, or a group such as redis; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """0 without errors, 1 with one (with `--strict` also with a warning), 2 for a wrong command line."""
    try:
        ids = selected(args.only)
    except ValueError as error:
        print(f"--only: {error}", file=sys.stderr)
        return 2
    logs.configure(stream_is_tty=sys.stderr.isatty(), level="error")  # a finding says what a warning would
    path = Path(args.config) if args.config else None
    findings: list[Finding]
    fixed: list[Finding] = []
    if first := first_configuration(path, os.environ):
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


async def _examine(
    args: argparse.Namespace, path: Path | None, ids: frozenset[str]
) -> tuple[list[Finding], list[Finding]]:
    """What remains, and with `--fix` what was corrected."""
    setup = load_setup(path, os.environ, port=args.port, bind=args.bind, workers=args.workers, endpoints=args.endpoints)
    gateway = GatewayConfig() if setup.valid is None else setup.valid.loaded.config.gateway
    findings = await diagnose(setup, ids, host=listen_host(gateway))
    fixed = [finding for finding in findings if args.fix and _fix(finding)]
    return [finding for finding in findings if finding not in fixed], fixed


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
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for finding in fixed:
        print(printable(f"fixed    {finding.id}: {finding.seen} ({finding.fix})"))
    for finding in findings:
        severity = f"{finding.severity:<8}"
        severity = f"\x1b[{_COLORS[finding.severity]}m{severity}\x1b[0m" if color else severity
        print(f"{severity} {printable(f'{finding.id}: {finding.seen}')}")
        print(printable(f"         why: {finding.why}"))
        print(printable(f"         fix: {finding.fix}"))
    print(_summary(findings))


def _summary(findings: Sequence[Finding]) -> str:
    parts = []
    for severity, noun in (("error", "error"), ("warning", "warning"), ("info", "note")):
        if count := sum(finding.severity == severity for finding in findings):
            parts.append(f"{count} {noun}{'' if count == 1 else 's'}")
    return ", ".join(parts) or "no findings"
