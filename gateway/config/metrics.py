"""`gateway.metrics` (ours): numbers for Prometheus."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.section import Section


class MetricsConfig(Section):
    """Without `port` the metrics are on the gateway's own port only, for `operator.read`."""

    enabled: bool = True
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """A listener of its own, which asks for no credential."""
    bind: Literal["loopback", "lan"] = "loopback"
    """Where that listener is: on this machine only, or on every interface."""
