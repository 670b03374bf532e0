"""Whether the embedded provider joins the configured ones."""

from gateway.config.providers import ModelsConfig
from gateway.core.names import ModelRef
from gateway.upstream.embedded import MODEL

EMBEDDED_EMBEDDING = ModelRef(MODEL.provider, MODEL.embedding_model)


def embedded_joins(models: ModelsConfig) -> bool:
    """Whether the embedded provider joins the configured ones, if it is installed."""
    return models.mode != "replace" and MODEL.provider not in models.providers
