"""Moves the providers that an agent's own `models.json` adds to those of the configuration.

OpenClaw writes that file (`agents/ID/agent/models.json`) from the configuration, and users may add rows to it. It holds
marks in place of the secrets that the configuration refers to.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yarl import URL

from gateway.cli.repairs import Finding
from gateway.config.provider_ids import same_provider
from gateway.upstream.catalog import CATALOG, REFUSED

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_NOT_LETTERS = re.compile(r"[^A-Z0-9]+")
_MANAGED = "secretref-managed"
_OF_ENVIRONMENT = "secretref-env:"


def move_agent_rows(tree: dict[str, Any], variables: dict[str, str], directory: Path) -> Iterator[Finding]:
    """Add the rows that the configuration does not have, with their keys as variables. Rows of built-in providers at
    their own address are no news. With `models.mode: "replace"`, OpenClaw does not read the file either.
    """
    section: Any = tree.get("models", {})
    if not isinstance(section, dict) or section.get("mode") == "replace":
        return
    rows: Any = section.get("providers", {})
    if not isinstance(rows, dict):
        return
    written = {same_provider(str(name)): row for name, row in rows.items()}
    for file in sorted(directory.glob("agents/*/agent/models.json"), key=lambda one: (one.parts[-3] != "main", one)):
        source = str(file.relative_to(directory))
        try:
            added = json.loads(file.read_text(encoding="utf-8"))["providers"].items()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            yield Finding(source, "left out", "can't be read as a file of providers")
            continue
        for name, row in added:
            if not isinstance(row, dict) or not row.get("baseUrl") or name in REFUSED:
                continue
            if (known := written.get(same_provider(name))) is not None:
                yield from _differs(name, known, row, source)
            elif not _is_built_in(name, row):
                written[same_provider(name)] = rows[name] = _moved(name, row, variables)
                yield Finding(f"models.providers.{name}", "changed", f"it is from {source}")
    if rows:
        section["providers"] = rows
        tree["models"] = section


def _differs(name: str, known: Any, row: dict[str, Any], source: str) -> Iterator[Finding]:
    """OpenClaw prefers the address of the agent's file, but prompts go to the address that the configuration names."""
    address = known.get("baseUrl") if isinstance(known, dict) else None
    if isinstance(address, str) and "$" not in address and _host(address) != _host(row["baseUrl"]):
        text = f"{source} has another address, which OpenClaw prefers; write the one that counts"
        yield Finding(f"models.providers.{name}.baseUrl", "left out", text)


def _is_built_in(name: str, row: dict[str, Any]) -> bool:
    built_in = CATALOG.get(same_provider(name))
    return built_in is not None and bool(built_in.base_url) and _host(built_in.url({})) == _host(row["baseUrl"])


def _host(url: object) -> str | None:
    try:
        return URL(str(url)).host
    except ValueError:
        return None


def _moved(name: str, row: dict[str, Any], variables: dict[str, str]) -> dict[str, Any]:
    """The row with its secrets as variables; a key that only the configuration had a reference for is not there."""
    moved = dict(row)
    key = moved.pop("apiKey", None)
    if isinstance(key, str) and key and key != _MANAGED:
        moved["apiKey"] = key if _NAME.fullmatch(key) else _as_variable(name, "KEY", key, variables)
    headers = moved.pop("headers", None)
    if isinstance(headers, dict):
        moved["headers"] = {
            header: _header(name, header, value, variables) for header, value in headers.items() if value != _MANAGED
        }
    return moved


def _header(name: str, header: str, value: Any, variables: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith(_OF_ENVIRONMENT):
        return f"${{{value.removeprefix(_OF_ENVIRONMENT)}}}"
    return _as_variable(name, header, value, variables)


def _as_variable(name: str, part: str, value: str, variables: dict[str, str]) -> str:
    variable = f"OPENCLAW_ROW_{_NOT_LETTERS.sub('_', f'{name}_{part}'.upper()).strip('_')}"
    variables[variable] = value
    return f"${{{variable}}}"
