"""`openclaw-gateway models`: the agents, the models that they ask, and the usable providers."""

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from gateway.cli.main import COMMANDS, config_option
from gateway.cli.output import styled
from gateway.upstream.embedded import MODEL, available
from gateway.validation import Valid, validated

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`models [--config FILE] [--json]`."""
    parser = sub.add_parser("models", help=COMMANDS["models"], description=__doc__)
    config_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print one line per agent and per usable provider."""
    shown = _shown(validated(Path(args.config) if args.config else None, os.environ))
    if args.json:
        print(json.dumps(shown, indent=2))
        return 0
    print(styled("agents"))
    for agent in shown["agents"]:
        mark, chain = "*" if agent["default"] else " ", " → ".join(agent["models"])
        print(f"{mark} openclaw/{agent['id']:<20} {chain}   embeddings: {agent['embeddings'] or 'none'}")
    print(styled("providers with a key, or on this machine"))
    for provider in shown["providers"]:
        models = ", ".join(provider["models"]) or "any model id"
        print(f"  {provider['id']:<22} {provider['base_url'] or '(embedded)'}   {models}")
    return 0


def _shown(valid: Valid) -> dict[str, list[dict[str, Any]]]:
    """`agents` with their `models`, the first choice first; `providers`, with `base_url` null for the embedded one."""
    directory = valid.directory
    agents = [
        {
            "id": agent.id,
            "default": agent is directory.default,
            "models": [str(ref) for ref in agent.candidates],
            "embeddings": None if agent.embedding is None else str(agent.embedding),
        }
        for agent in directory.agents
    ]
    providers: list[dict[str, Any]] = [
        {"id": one.id, "base_url": _without_secrets(str(one.base_url)), "models": list(one.models)}
        for one in valid.providers.values()
        if one.api_key or one.id in valid.loaded.config.models.providers
    ]
    if available():
        models = [MODEL.chat_model, MODEL.embedding_model]
        providers.append({"id": MODEL.provider, "base_url": None, "models": models})
    return {"agents": agents, "providers": providers}


def _without_secrets(url: str) -> str:
    """The URL without its login and its query, which may hold a key."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
