"""`tools`: the tools that agents may run themselves, and limits for them. Function tools of clients are unaffected."""

from typing import ClassVar, Literal

from gateway.config import accepted
from gateway.config.section import Milliseconds, PositiveCount, Section


class ToolAccess(Section):
    """Names or `*` patterns; `deny` wins over `allow`, and an empty `allow` allows everything."""

    UNUSED: ClassVar[frozenset[str]] = accepted.TOOLS

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    profile: Literal["minimal", "coding", "messaging", "full"] | None = None
    """OpenClaw's; `minimal` allows no tool of a tool server, the others change nothing here."""


class ToolsConfig(ToolAccess):
    """`tools`. Ours: the number of tools that a model is offered, the rounds of one run, their time together, and the
    characters of one result.
    """

    max_tools: PositiveCount = 128
    max_rounds: PositiveCount = 16
    timeout_ms: Milliseconds = 300_000
    max_result_chars: PositiveCount = 60_000
