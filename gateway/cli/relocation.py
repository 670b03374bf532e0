"""Makes the settings of an OpenClaw installation independent of its directory: agents, secret files, stored keys."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.cli.repairs import Finding
from gateway.config import accepted
from gateway.config.agents import gathered
from gateway.config.profile_store import stored_profiles
from gateway.config.root import Config
from gateway.upstream.catalog import CATALOG, REFUSED

_SERVED = frozenset(Config.model_fields) | {"env", "secrets"}
_NOT_LETTERS = re.compile(r"[^A-Z0-9]+")


def without_other_sections(tree: dict[str, Any]) -> Iterator[Finding]:
    """Sections that the gateway does not serve."""
    others = [name for name in tree if name not in _SERVED]
    for name in others:
        del tree[name]
    if shown := [name for name in others if name not in accepted.BOOKKEEPING]:
        yield Finding(", ".join(shown), "left out", "not served by this gateway")


def move_agents(tree: dict[str, Any], directory: Path) -> None:
    """Agents in the newer form, each with its workspace of the installation."""
    if not isinstance(tree.get("agents"), dict):
        return
    agents = tree["agents"] = {key: value for key, value in gathered(tree["agents"]).items() if value is not None}
    entries, defaults = agents.get("entries"), agents.get("defaults")
    shared = isinstance(defaults, dict) and defaults.get("workspace")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        for folder in (f"workspace-{name}", "workspace"):
            if isinstance(entry, dict) and not entry.get("workspace") and not shared and (directory / folder).is_dir():
                entry["workspace"] = str((directory / folder).resolve())


def make_paths_absolute(tree: dict[str, Any], directory: Path) -> None:
    """Secret files are relative to the directory of the configuration, which changes."""
    secrets = tree.get("secrets")
    providers = secrets.get("providers") if isinstance(secrets, dict) else None
    for provider in providers.values() if isinstance(providers, dict) else ():
        path = provider.get("path") if isinstance(provider, dict) else None
        if isinstance(path, str) and not path.startswith(("~", "$")):
            provider["path"] = str((directory / path).resolve())


def move_profiles(tree: dict[str, Any], variables: dict[str, str], directory: Path) -> Iterator[Finding]:
    """The keys of the stores as variables; logins as they are, for the report."""
    stored, problems = stored_profiles(directory)
    for problem in problems:
        yield Finding(problem.path, "left out", problem.text)
    section: Any = tree.setdefault("auth", {})
    profiles: Any = section.setdefault("profiles", {}) if isinstance(section, dict) else {}
    if not isinstance(profiles, dict):
        return
    for name, profile in stored.items():
        entry = profiles.setdefault(name, {"provider": profile["provider"], "mode": profile["mode"]})
        key = profile.get("key")
        if isinstance(key, str) and isinstance(entry, dict):
            variable = f"OPENCLAW_PROFILE_{_NOT_LETTERS.sub('_', name.upper()).strip('_')}"
            variables[variable] = key
            entry["key"] = f"${{{variable}}}"
        elif key and isinstance(entry, dict):
            entry["key"] = copy.deepcopy(key)
    for name, entry in list(profiles.items()):
        if isinstance(entry, dict) and entry.get("mode") in ("oauth", "aws-sdk"):
            del profiles[name]
            advice = _key_advice(str(entry.get("provider")))
            yield Finding(
                f'auth.profiles["{name}"]', "left out", f'"{entry["mode"]}" logins are not supported; {advice}'
            )
    if section == {"profiles": {}}:
        del tree["auth"]


def _key_advice(provider: str) -> str:
    if provider in REFUSED:
        return REFUSED[provider]
    row = CATALOG.get(provider)
    return f"set {row.key_variables[0]}" if row and row.key_variables else "use an API key"
