"""Values that can't be had, such as a variable that is not set, where the gateway works without them, as OpenClaw does.

A file often has rows of providers that only some machines have keys for. Their keys are left out with a warning, unless
an agent asks the provider. Everything else that can't be resolved is a problem.
"""

import re
from collections.abc import Iterator
from typing import Any

from gateway.config.problems import Problem, join
from gateway.config.provider_ids import same_provider
from gateway.config.secrets import Resolver

_EMBEDDING_KEYS = (".memorySearch.remote.apiKey", "memory.search.remote.apiKey")
_ORIGINS = re.compile(r"gateway\.controlUi\.allowedOrigins\[\d+\]")


def leave_out_unneeded(tree: dict[str, Any], resolver: Resolver) -> list[Problem]:
    """Turn problems about values that nobody needs into the warnings that are returned; the values are not in `tree`.

    A row without its key gets no other one, such as that of its id in the environment.
    """
    switched_off = tuple(_switched_off(tree))
    rows = {join(join("models.providers", name), "apiKey"): row for name, row in _unused_rows(tree)}
    warnings = []
    for problem in [*resolver.problems]:
        reason = resolver.absent.get(problem.path)
        if reason is None:
            continue
        if problem.path in rows:
            rows[problem.path]["authHeader"] = False
            effect = "so calls go without a key; no agent asks this provider"
        elif problem.path.endswith(_EMBEDDING_KEYS):
            effect = "so it is left out"
        elif problem.path.startswith(switched_off):
            effect = "so it is left out; this part is switched off"
        elif _ORIGINS.fullmatch(problem.path):
            effect = "so this origin is left out"
        else:
            continue
        resolver.problems.remove(problem)
        warnings.append(Problem(problem.path, f"{reason}, {effect}"))
    return warnings


def _switched_off(tree: dict[str, Any]) -> Iterator[str]:
    """The beginnings of paths inside tool servers and exporters that are not enabled."""
    for name, server in _object(_object(tree.get("mcp")).get("servers")).items():
        if _object(server).get("enabled") is False:
            yield join("mcp.servers", name) + "."
    otel = _object(_object(tree.get("diagnostics")).get("otel"))
    if otel and not otel.get("enabled"):
        yield "diagnostics.otel."


def _unused_rows(tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of providers that no agent asks, by their names in the file; none if no model is named at all."""
    names = {_canonical(name) for name in _named(tree)}
    if not names:
        return
    for provider, row in _object(_object(tree.get("models")).get("providers")).items():
        prefix = _canonical(f"{provider}/")
        model_ids = {str(model.get("id")).lower() for model in _objects(_object(row).get("models"))}
        if isinstance(row, dict) and not any(name.startswith(prefix) or name in model_ids for name in names):
            yield provider, row


def _canonical(name: str) -> str:
    """The name of a model in lower case, with the first of its provider's ids."""
    provider, slash, model = name.strip().lower().partition("/")
    return f"{same_provider(provider)}{slash}{model}" if slash else provider


def _named(tree: dict[str, Any]) -> Iterator[str]:
    """Every name of a model that agents and embeddings use, with what its aliases stand for."""
    agents = _object(tree.get("agents"))
    every = [_object(agents.get("defaults")), *map(_object, _object(agents.get("entries")).values())]
    every += _objects(agents.get("list"))
    aliases = {
        str(settings.get("alias")).lower(): name
        for agent in every
        for name, settings in _object(agent.get("models")).items()
        if isinstance(settings, dict)
    }
    names = [name for agent in every for name in _strings(agent.get("model"))]
    yield from names
    yield from (aliases[name.lower()] for name in names if name.lower() in aliases)
    for section in (tree, *every):
        for search in (section.get("memorySearch"), _object(section.get("memory")).get("search")):
            if isinstance(provider := _object(search).get("provider"), str):
                yield f"{provider}/"
            yield from _strings(_object(search).get("model"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
