"""`tools`: which tools agents may run themselves. A client's own function tools are not affected."""

from typing import ClassVar

from gateway.config import accepted
from gateway.config.section import Section


class ToolsConfig(Section):
    """Names or `*` globs; `deny` wins over `allow`, and an empty `allow` allows everything."""

    UNUSED: ClassVar[frozenset[str]] = accepted.TOOLS

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
