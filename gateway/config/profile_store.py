"""The stores in which OpenClaw keeps API keys, read and never written.

In the state directory: `state/openclaw.sqlite` for all agents, `agents/ID/agent/openclaw-agent.sqlite` for one, and
`agents/ID/agent/auth-profiles.json`, where older versions keep them. Of two profiles with the same name the first
counts; `main` is read before other agents. The oldest versions have one key per provider in `auth.json`; it counts
where no profile has the provider.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.config.problems import Problem
from gateway.config.provider_ids import same_provider

_SHARED = "SELECT value_json FROM config_machine_state WHERE state_key = 'authProfiles.store'"
_OF_AGENT = "SELECT store_json FROM auth_profile_store"
_SECRETS: Mapping[str, tuple[str, ...]] = {
    "api_key": ("key", "keyRef"),
    "token": ("token", "tokenRef"),
    "oauth": (),
}
"""Type of a profile → where its secret is. What an OAuth login holds is never read."""


_OLDEST = "auth.json"


def stored_profiles(state: Path) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The profiles by name, as entries of `auth.profiles` with `key` (a string or a secret reference), and a problem
    for each store that can't be read.
    """
    profiles: dict[str, dict[str, Any]] = {}
    oldest: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for file, read in _stores(state):
        try:
            documents = read(file)
        except (OSError, sqlite3.Error, ValueError) as error:
            problems.append(Problem("auth.profiles", f"{file} can't be read ({error}); repair it or move it away"))
            continue
        for document in documents:
            known, read_profiles = (oldest, _keys) if file.name == _OLDEST else (profiles, _profiles)
            for name, profile in read_profiles(document):
                known.setdefault(name, profile)
    providers = {same_provider(profile["provider"]) for profile in profiles.values()}
    for name, profile in oldest.items():
        if same_provider(profile["provider"]) not in providers:
            profiles.setdefault(name, profile)
    return profiles, problems


def with_stored(section: Any, stored: Mapping[str, Mapping[str, Any]]) -> Any:
    """The file's `auth` section with the keys of the stores; the file wins over them."""
    if not stored or not isinstance(section, dict | None):
        return section
    own = (section or {}).get("profiles") or {}
    if not isinstance(own, dict):
        return section
    merged = {
        name: {**stored.get(name, {}), **profile} if isinstance(profile, dict) else profile
        for name, profile in own.items()
    }
    return {
        **(section or {}),
        "profiles": merged | {name: dict(one) for name, one in stored.items() if name not in own},
    }


def _stores(state: Path) -> Iterator[tuple[Path, Any]]:
    if (shared := state / "state" / "openclaw.sqlite").is_file():
        yield shared, lambda file: _rows(file, _SHARED)
    folders = sorted(state.glob("agents/*/agent"), key=lambda folder: (folder.parent.name != "main", folder))
    for folder in folders:
        if (database := folder / "openclaw-agent.sqlite").is_file():
            yield database, lambda file: _rows(file, _OF_AGENT)
        for name in ("auth-profiles.json", _OLDEST):
            if (older := folder / name).is_file():
                yield older, lambda file: [json.loads(file.read_text(encoding="utf-8"))]


def _rows(file: Path, query: str) -> list[Any]:
    """The JSON documents of a query; none where the table does not exist."""
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)) as database:
        table = query.partition(" FROM ")[2].partition(" ")[0]
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return []
        return [json.loads(text) for (text,) in database.execute(query)]


def _profiles(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    profiles = document.get("profiles") if isinstance(document, dict) else None
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        mode = (profile.get("type") or profile.get("mode")) if isinstance(profile, dict) else None
        if isinstance(mode, str) and mode in _SECRETS and isinstance(profile.get("provider"), str):
            key = next((profile[one] for one in _SECRETS[mode] if profile.get(one)), None)
            yield name, {"provider": profile["provider"], "mode": mode, **({"key": key} if key else {})}


def _keys(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The API keys of the oldest store."""
    for provider, entry in document.items() if isinstance(document, dict) else ():
        key = entry.get("key") if isinstance(entry, dict) and entry.get("type") == "api_key" else None
        if isinstance(key, str) and key:
            yield f"{provider}:default", {"provider": provider, "mode": "api_key", "key": key}
