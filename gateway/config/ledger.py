"""`gateway.ledger` (ours): whether and for how long the use of providers is recorded."""

from typing import Annotated

from pydantic import Field

from gateway.config.section import PositiveCount, Section


class LedgerConfig(Section):
    """A row for each request to a provider. `enabled` is None where a store that survives a restart decides it.

    `max_bytes` limits the ledger in a file; a shared Redis has its own `maxmemory`.
    """

    enabled: bool | None = None
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 90
    max_bytes: PositiveCount = 2**30
