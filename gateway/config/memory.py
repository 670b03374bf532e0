"""`memory`: the model of embeddings. Other parts of OpenClaw's memory are not served."""

from typing import ClassVar

from gateway.config import accepted
from gateway.config.section import PositiveCount, Section


class MemorySearchConfig(Section):
    """`memory.search`, also per agent: provider id, model id, and dimensions of the vectors."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MEMORY_SEARCH

    provider: str | None = None
    model: str | None = None
    output_dimensionality: PositiveCount | None = None


class MemoryConfig(Section):
    """`memory`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MEMORY

    search: MemorySearchConfig = MemorySearchConfig()
