"""`tools`: which tools agents may run themselves, and for how long. A client's own function tools are not affected."""

from typing import ClassVar, Literal

from gateway.config import accepted
from gateway.config.section import Milliseconds, PositiveCount, Section


class ToolAccess(Section):
    """Names or `*` globs; `deny` wins over `allow`, and an empty `allow` allows everything."""

    UNUSED: ClassVar[frozenset[str]] = accepted.TOOLS

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    profile: Literal["minimal", "coding", "messaging", "full"] | None = None
    """OpenClaw's; `minimal` allows no tool of a tool server, the others change nothing here."""


class ToolsConfig(ToolAccess):
    """`tools`. The keys here are ours: how many tools a model is offered, rounds of one run, the time for all of them,
    the text of one result.
    """

    max_tools: PositiveCount = 128
    max_rounds: PositiveCount = 16
    timeout_ms: Milliseconds = 300_000
    max_result_chars: PositiveCount = 60_000
