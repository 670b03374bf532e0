"""`openclaw-gateway models`: the agents, the models that they ask, and the usable providers."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.main import COMMANDS, config_option
from gateway.upstream.embedded import MODEL, available
from gateway.validation import validated

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`models [--config FILE]`."""
    config_option(sub.add_parser("models", help=COMMANDS["models"], description=__doc__))


def run(args: argparse.Namespace) -> int:
    """Print one line per agent and per usable provider."""
    valid = validated(Path(args.config) if args.config else None, os.environ)
    loaded, providers, directory = valid.loaded, valid.providers, valid.directory
    print("agents")
    for agent in directory.agents:
        mark = "*" if agent is directory.default else " "
        chain = " → ".join(str(ref) for ref in agent.candidates)
        print(f"{mark} openclaw/{agent.id:<20} {chain}   embeddings: {agent.embedding or 'none'}")
    print("providers with a key, or on this machine")
    for provider in providers.values():
        if provider.api_key or provider.id in loaded.config.models.providers:
            models = ", ".join(provider.models) or "any model id"
            print(f"  {provider.id:<22} {provider.base_url}   {models}")
    if available():
        print(f"  {MODEL.provider:<22} (embedded)   {MODEL.chat_model}, {MODEL.embedding_model}")
    return 0
