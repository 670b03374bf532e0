"""The paths of Google's API, which name the model."""

from functools import lru_cache
from urllib.parse import quote


@lru_cache(256)
def model_path(model_id: str) -> str:
    """`/models/ID`; an id may name its collection itself, such as `tunedModels/mine`."""
    name = model_id if model_id.startswith(("models/", "tunedModels/")) else f"models/{model_id}"
    return f"/{quote(name, safe='/@.-_~')}"
