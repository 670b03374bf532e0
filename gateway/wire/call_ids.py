"""Ids of tool calls as the provider accepts them: ASCII letters, digits, `_` and `-`, unique in a conversation."""

import re
from hashlib import sha256

_ACCEPTED = re.compile(r"[A-Za-z0-9_-]{1,64}")


class CallIds:
    """The ids of one request. Results belong to the latest call that has their id."""

    __slots__ = ("_current", "_used")

    def __init__(self) -> None:
        self._current: dict[str, str] = {}
        self._used: set[str] = set()

    def call(self, call_id: str) -> str:
        """The id for a call."""
        made = (
            call_id
            if _ACCEPTED.fullmatch(call_id)
            else f"toolu_{sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:24]}"
        )
        base, number = made[:56], 2
        while made in self._used:
            made, number = f"{base}_{number}", number + 1
        self._used.add(made)
        self._current[call_id] = made
        return made

    def result(self, call_id: str) -> str | None:
        """The id for a result; None if no call before it has that id."""
        return self._current.get(call_id)
