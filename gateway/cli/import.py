"""`import`: read an OpenClaw installation, report what works and what does not, and write a configuration."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.installation import Import, imported
from gateway.cli.main import COMMANDS, config_option
from gateway.cli.output import styled
from gateway.config.environment import config_file, state_directory
from gateway.config.starter import write_private
from gateway.core.errors import ConfigError
from gateway.core.printable import printable

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

_COLORS = {"works": "32", "changed": "36", "missing": "33", "left out": "33", "no effect": "2", "needs you": "31"}


def add_parser(sub: "Subparsers") -> None:
    """`import [DIR] [--config FILE] [--dry-run] [--json]`."""
    parser = sub.add_parser("import", help=COMMANDS["import"], description=__doc__)
    parser.add_argument("directory", nargs="?", metavar="DIR", help="default: ~/.openclaw, or its older names")
    config_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="only report; write nothing")
    parser.add_argument("--json", action="store_true", help="the report as JSON")


def run(args: argparse.Namespace) -> int:
    """0 when a configuration was written that the gateway starts with, 1 when not. Existing files are never replaced.

    Raises ConfigError when there is no installation, or a file is there already.
    """
    target = config_file(Path(args.config) if args.config else None, os.environ)
    source = Path(args.directory).expanduser() if args.directory else _installation()
    if source.resolve() in (target.resolve().parent, state_directory(os.environ).resolve()):
        text = "is in the installation itself, which is not changed; unset OPENCLAW_STATE_DIR and OPENCLAW_CONFIG_PATH"
        raise ConfigError((f"{target}: {text}, or name another --config",))
    result = imported(source, os.environ)
    written = []
    if result.valid is not None and not args.dry_run:
        texts = {state_directory(os.environ) / ".env": result.dotenv_text, target: result.config_text}
        written = _write({file: text for file, text in texts.items() if text})
    if args.json:
        findings = [asdict(finding) for finding in result.findings]
        print(json.dumps({"ok": result.valid is not None, "findings": findings, "written": list(map(str, written))}))
    else:
        _print(result, written)
    return 0 if result.valid is not None else 1


def _installation() -> Path:
    """The directory in which OpenClaw keeps its files, under its present or an older name."""
    present, *older = (Path.home() / name for name in (".openclaw", ".clawdbot", ".moltbot"))
    return next((one for one in (present, *older) if one.is_dir()), present)


def _write(texts: dict[Path, str]) -> list[Path]:
    if there := [file for file in texts if file.exists()]:
        raise ConfigError(tuple(f"{file}: exists already, and is not replaced; move it away" for file in there))
    for file, text in texts.items():
        write_private(file, text)
    return list(texts)


def _print(result: Import, written: list[Path]) -> None:
    for outcome, color in _COLORS.items():
        for finding in result.findings:
            if finding.outcome == outcome:
                text = f"{finding.path}: {finding.text}" if finding.path else finding.text
                print(f"{styled(f'{outcome:<9}', color)}  {printable(text)}")
    for file in written:
        print(f"Wrote {file}")
    if result.valid is None:
        print(
            "Nothing was written: the gateway would not start. Correct what needs you, and import again.",
            file=sys.stderr,
        )
