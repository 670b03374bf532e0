"""`memory`: the model of embeddings. Other parts of OpenClaw's memory are not served."""

from typing import ClassVar

from pydantic import Field

from gateway.config import accepted
from gateway.config.secret import Secret
from gateway.config.section import PositiveCount, Section


class RemoteConfig(Section):
    """`remote`: an endpoint of embeddings alone, in the format of the provider that `provider` names."""

    UNUSED: ClassVar[frozenset[str]] = frozenset({"batch", "nonBatchConcurrency"})

    base_url: str | None = None
    api_key: Secret | None = None
    headers: dict[str, Secret] = Field(default_factory=dict)


NO_REMOTE = RemoteConfig()


class MemorySearchConfig(Section):
    """`memory.search`, also per agent: provider id, model id, and dimensions of the vectors."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MEMORY_SEARCH

    provider: str | None = None
    model: str | None = None
    output_dimensionality: PositiveCount | None = None
    remote: RemoteConfig = NO_REMOTE


class MemoryConfig(Section):
    """`memory`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MEMORY

    search: MemorySearchConfig = MemorySearchConfig()
