"""`openclaw-gateway models`: which agents can be addressed, which models they ask, which providers are usable."""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.agents.configured import directory_from
from gateway.cli.check import BUILT_IN
from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import load
from gateway.core.names import ModelRef
from gateway.upstream.configured import providers_from
from gateway.upstream.embedded import MODEL, available

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`models [--config FILE]`."""
    config_option(sub.add_parser("models", help=COMMANDS["models"], description=__doc__))


def run(args: argparse.Namespace) -> int:
    """Print one line per agent and per usable provider."""
    loaded = load(Path(args.config) if args.config else None, os.environ, catalogue=BUILT_IN)
    providers = providers_from(loaded.config.models, loaded.env)
    local = ModelRef(MODEL.provider, MODEL.embedding_model) if available() else None
    directory = directory_from(
        loaded.config, providers, state=loaded.state_directory, clock=time.monotonic, fallback_embedding=local
    )
    print("agents")
    for agent in directory.agents:
        mark = "*" if agent is directory.default else " "
        chain = " → ".join(str(ref) for ref in agent.candidates)
        print(f"{mark} openclaw/{agent.id:<20} {chain}   embeddings: {agent.embedding or 'none'}")
    print("providers with a key, or on this machine")
    for provider in providers.values():
        if provider.api_key or provider.id in loaded.config.models.providers:
            listed = ", ".join(provider.models) or "any model id"
            print(f"  {provider.id:<22} {provider.base_url}   {listed}")
    if available():
        print(f"  {MODEL.provider:<22} (embedded)   {MODEL.chat_model}, {MODEL.embedding_model}")
    return 0
