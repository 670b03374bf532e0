"""`logging`: how much is logged, and in which form."""

from typing import ClassVar, Literal

from gateway.config import accepted
from gateway.config.section import Section

Level = Literal["silent", "fatal", "error", "warn", "info", "debug", "trace"]


class LoggingConfig(Section):
    """`logging`. Logs go to standard error; `console_level` wins over `level`, as OpenClaw's console does."""

    UNUSED: ClassVar[frozenset[str]] = accepted.LOGGING

    level: Level = "info"
    console_level: Level | None = None
    console_style: Literal["pretty", "compact", "json"] | None = None
    """None chooses by the terminal: pretty on one, JSON lines otherwise."""
    requests: bool = True
    """Ours: one line at info for each request."""
