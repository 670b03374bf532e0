"""Ids of tool calls as the provider accepts them, unique in a conversation."""

import re
from collections.abc import Iterable
from hashlib import sha256

_ACCEPTED = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NINE = re.compile(r"[A-Za-z0-9]{9}")


NO_RESULT = "There is no result of this call."
"""The result of a call that was given up: most formats refuse a call without one."""


class CallIds:
    """The ids of one request: ASCII letters, digits, `_`, `-`. Results belong to the latest call that has their id."""

    __slots__ = ("_current", "_open", "_used")

    def __init__(self) -> None:
        self._current: dict[str, str] = {}
        self._open: dict[str, None] = {}
        self._used: set[str] = set()

    def call(self, call_id: str) -> str:
        """The id for a call."""
        made, number = self._accepted(call_id), 2
        while made in self._used:
            made, number = self._again(call_id, number), number + 1
        self._used.add(made)
        self._current[call_id] = made
        self._open[made] = None
        return made

    def answer(self, call_id: str) -> str | None:
        """The id for the one result that a call must have before the next turn of the assistant; None if no call waits
        for it.
        """
        made = self._current.get(call_id)
        if made not in self._open:
            return None
        del self._open[made]
        return made

    def waiting(self) -> list[str]:
        """The ids of calls that have no result yet."""
        return list(self._open)

    def give_up(self, ids: Iterable[str]) -> None:
        """These calls get no result any more."""
        for made in ids:
            self._open.pop(made, None)

    def result(self, call_id: str) -> str | None:
        """The id for a result; None if no call before it has that id."""
        return self._current.get(call_id)

    def _accepted(self, call_id: str) -> str:
        return call_id if _ACCEPTED.fullmatch(call_id) else f"toolu_{_digest(call_id)[:24]}"

    def _again(self, call_id: str, number: int) -> str:
        """The id for a call with an id that is in use."""
        return f"{self._accepted(call_id)[:56]}_{number}"


class NineCharacterIds(CallIds):
    """Mistral's form: nine letters and digits, and nothing else
    (https://mistralai.github.io/mistral-common/usage/tools/).
    """

    __slots__ = ()

    def _accepted(self, call_id: str) -> str:
        return call_id if _NINE.fullmatch(call_id) else _digest(call_id)[:9]

    def _again(self, call_id: str, number: int) -> str:
        return _digest(f"{call_id} {number}")[:9]


def shortened(call_id: str, max_length: int) -> str:
    """The id itself if it is short enough, else one that stands for it."""
    return call_id if len(call_id) <= max_length else f"call_{_digest(call_id)[:24]}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
