"""Filters tools by name or `*` pattern, case-insensitively. `deny` wins; an empty `allow` allows everything."""

import re
from collections.abc import Iterable
from functools import cache

from msgspec import Struct


class ToolFilter(Struct, frozen=True):
    """One pair of lists of patterns."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def passes(self, name: str) -> bool:
        """Whether the filter lets this tool pass."""
        return not _any(self.deny, name) and (not self.allow or _any(self.allow, name))


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.strip().split("*"))), re.IGNORECASE | re.DOTALL)
