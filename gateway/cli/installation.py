"""Reads an OpenClaw installation and turns it into a configuration of the gateway with its variables.

Nothing in the installation is changed. Keys that OpenClaw keeps in its stores become variables of the new `.env`.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.agents.model_chain import chain_problems
from gateway.cli.agent_rows import move_agent_rows
from gateway.cli.relocation import make_paths_absolute, move_agents, move_profiles, without_other_sections
from gateway.cli.repairs import Finding, repaired, split
from gateway.config import document
from gateway.config.agents import gathered
from gateway.config.dotenv import parse, rendered
from gateway.config.problems import Problem
from gateway.config.root import Config
from gateway.config.starter import new_token
from gateway.core.errors import ConfigError
from gateway.core.names import ModelRef
from gateway.upstream.catalog import CATALOG
from gateway.upstream.provider import Provider
from gateway.validation import Valid, validated

FILES = ("openclaw.json", "clawdbot.json", "moltbot.json")
"""The names of the configuration file, the older ones last."""

_VARIABLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)")
_NO_PROVIDER = re.compile(r"there is no provider '([^']+)'")
_ALWAYS = ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD")


@dataclass(slots=True)
class Import:
    """The new configuration, its variables, and a finding per row; `valid` is None when the gateway would not start."""

    tree: dict[str, Any]
    variables: dict[str, str]
    names_models: bool
    """Whether the installation names a model for some agent."""
    findings: list[Finding] = field(default_factory=list)
    valid: Valid | None = None

    @property
    def config_text(self) -> str:
        """The new file."""
        text = json.dumps(self.tree, indent=2, ensure_ascii=False)
        return f"// Imported from an OpenClaw installation by openclaw-gateway import.\n{text}\n"

    @property
    def dotenv_text(self) -> str:
        """The new `.env`, with secrets. Raises ConfigError for a value that it can't hold."""
        try:
            return rendered(self.variables)
        except ValueError as error:
            raise ConfigError((str(error),)) from None


def imported(directory: Path, env: Mapping[str, str]) -> Import:
    """Read the installation in `directory`. Raises ConfigError when it has no configuration file that can be read."""
    file = next((directory / name for name in FILES if (directory / name).is_file()), None)
    if file is None:
        raise ConfigError((f"{directory}: has no {', '.join(FILES)}; name the directory of the installation",))
    tree = document.read(file, env)
    dotenv = directory / ".env"
    variables = parse(dotenv.read_text(encoding="utf-8-sig", errors="replace")) if dotenv.is_file() else {}
    result = Import(tree, variables, _names_models(tree))
    result.findings += without_other_sections(tree)
    move_agents(tree, directory)
    make_paths_absolute(tree, directory)
    result.findings += move_profiles(tree, variables, directory)
    result.findings += move_agent_rows(tree, variables, directory)
    result.findings += _without_shell(tree)
    with tempfile.TemporaryDirectory() as scratch:
        check = _checker(result, env, Path(scratch))
        result.findings += repaired(tree, check)
        if not any(finding.outcome == "needs you" for finding in result.findings):
            result.findings += [*_open_endpoints(tree), *_with_a_token(result, env)]
            _keep_used_variables(result)
            problems = check(tree)
            result.findings += [Finding("", "needs you", problem) for problem in problems]
            result.valid = None if problems else _load(result, env, Path(scratch))
    if result.valid is not None:
        result.findings = [*_works(result.valid), *result.findings]
    return result


def _names_models(tree: dict[str, Any]) -> bool:
    agents = gathered(tree["agents"]) if isinstance(tree.get("agents"), dict) else {}
    entries = agents.get("entries")
    settings = (agents.get("defaults"), *(entries.values() if isinstance(entries, dict) else ()))
    return any(isinstance(one, dict) and one.get("model") for one in settings)


def _checker(result: Import, env: Mapping[str, str], scratch: Path) -> Callable[[dict[str, Any]], tuple[str, ...]]:
    written = _rows_and_models(result.tree)

    def problems_of(tree: dict[str, Any]) -> tuple[str, ...]:
        left_out = written - _rows_and_models(tree)
        try:
            config = _load(result, env, scratch).loaded.config
        except ConfigError as error:
            return tuple(_named(problem, left_out) for problem in error.problems)
        return tuple(str(problem) for problem in _misrouted(config, left_out))

    return problems_of


def _rows(tree: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    models = tree.get("models")
    providers = models.get("providers") if isinstance(models, dict) else None
    for name, row in providers.items() if isinstance(providers, dict) else ():
        yield str(name).strip().lower(), row


def _rows_and_models(tree: dict[str, Any]) -> set[str]:
    """The ids of the rows, and `provider/model` for each model that a row lists."""
    names: set[str] = set()
    for provider, row in _rows(tree):
        names.add(provider)
        models = row.get("models") if isinstance(row, dict) else None
        names |= {
            str(ModelRef(provider, str(model["id"]).strip()))
            for model in (models if isinstance(models, list) else ())
            if isinstance(model, dict) and model.get("id")
        }
    return names


def _named(problem: str, left_out: set[str]) -> str:
    """A row that was left out is not missing from the file: the report has its own line for it."""
    path, text = split(problem)
    match = _NO_PROVIDER.match(text)
    return f"{path}: {_row_left_out(match[1])}" if match and match[1] in left_out else problem


def _row_left_out(provider: str) -> str:
    return f"the row of {provider!r} is left out"


def _misrouted(config: Config, left_out: set[str]) -> Iterator[Problem]:
    """Models that are left out, or whose rows are: a built-in provider of the same name is not asked in their place,
    nor the row in another format than the one that the model names.
    """

    def unusable(ref: ModelRef, _assumed: bool) -> str | None:
        if ref.provider in left_out:
            return _row_left_out(ref.provider)
        return f"the model {str(ref)!r} is left out of its row" if str(ref) in left_out else None

    yield from chain_problems(config, unusable)
    search = config.memory.search
    if search.provider and search.provider.strip().lower() in left_out:
        yield Problem("memory.search", _row_left_out(search.provider))


def _load(result: Import, env: Mapping[str, str], scratch: Path) -> Valid:
    (scratch / "openclaw.json").write_text(result.config_text, encoding="utf-8")
    (scratch / ".env").write_text(result.dotenv_text, encoding="utf-8")
    own = {name: value for name, value in env.items() if name != "OPENCLAW_CONFIG_PATH"}
    # No other model answers for an agent whose own one is left out.
    return validated(None, {**own, "OPENCLAW_STATE_DIR": str(scratch)}, assume_model=not result.names_models)


def _open_endpoints(tree: dict[str, Any]) -> Iterator[Finding]:
    """Endpoints are off unless enabled; without one nothing can be asked."""
    gateway = tree.setdefault("gateway", {})
    http = gateway.setdefault("http", {}) if isinstance(gateway, dict) else {}
    endpoints = http.setdefault("endpoints", {}) if isinstance(http, dict) else {}
    if not isinstance(endpoints, dict) or any(
        isinstance(one, dict) and one.get("enabled") for one in endpoints.values()
    ):
        return
    for name in ("chatCompletions", "responses"):
        endpoints[name] = {**(endpoints.get(name) or {}), "enabled": True}
    yield Finding("gateway.http.endpoints", "changed", "no endpoint was enabled; chatCompletions and responses are now")


def _with_a_token(result: Import, env: Mapping[str, str]) -> Iterator[Finding]:
    auth = result.tree.get("gateway", {}).get("auth") or {}
    has_one = any(auth.get(name) or env.get(variable) or result.variables.get(variable) for name, variable in (
        ("token", _ALWAYS[0]), ("password", _ALWAYS[1])
    ))  # fmt: skip
    if has_one or auth.get("mode", "token") != "token":
        return
    result.variables[_ALWAYS[0]] = new_token()
    yield Finding("gateway.auth.token", "changed", f"no token was configured; a new one is in .env as {_ALWAYS[0]}")


def _keep_used_variables(result: Import) -> None:
    """Only what the configuration refers to and what providers read, so that no other secret is copied."""
    used = {*_VARIABLE.findall(result.config_text), *_ALWAYS}
    for row in CATALOG.values():
        for name in row.key_variables:
            used |= {name, f"{name}S", *(f"{name}_{number}" for number in range(1, 10))}
    used |= {value["id"] for value in _references(result.tree)} | set(_named_keys(result.tree))
    result.variables = {name: value for name, value in result.variables.items() if name in used}


def _named_keys(tree: dict[str, Any]) -> Iterator[str]:
    """Keys of providers that are written as the bare name of a variable."""
    for _, row in _rows(tree):
        if isinstance(row, dict) and isinstance(key := row.get("apiKey"), str):
            yield key


def _without_shell(tree: dict[str, Any]) -> Iterator[Finding]:
    """Variables of the login shell, which the gateway does not start."""
    section = tree.get("env")
    shell = section.pop("shellEnv", None) if isinstance(section, dict) else None
    if isinstance(shell, dict) and shell.get("enabled"):
        text = "the gateway does not read variables of the login shell; add those that it needs to .env"
        yield Finding("env.shellEnv", "left out", text)


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if value.get("source") == "env" and isinstance(value.get("id"), str):
            yield value
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _works(valid: Valid) -> Iterator[Finding]:
    for agent in valid.directory.agents:
        default = ", the default agent" if agent is valid.directory.default else ""
        yield Finding(f"agents.entries.{agent.id}", "works", " → ".join(map(str, agent.candidates)) + default)
    for provider in {one.id: one for one in valid.providers.values()}.values():  # one may have several ids
        yield Finding(
            f"models.providers.{provider.id}", "works", f"{provider.address}, {provider.wire}, {_key(provider)}"
        )
    for warning in valid.warnings:
        path, _, text = warning.partition(": ")
        yield Finding(path, "missing", text)
    if inert := [key for key in valid.loaded.inert if not key.endswith(".name")]:
        yield Finding("", "no effect", ", ".join(inert))


def _key(provider: Provider) -> str:
    if provider.api_key is None:
        return "without a key"
    count = 1 + len(provider.others)
    return "with a key" if count == 1 else f"with {count} keys"
