"""Ids of tool calls as the provider accepts them, unique in a conversation."""

import re
from hashlib import sha256

_ACCEPTED = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NINE = re.compile(r"[A-Za-z0-9]{9}")


NO_RESULT = "There is no result of this call."
"""Stands for a result that a client left out: some providers refuse a call without one."""


class CallIds:
    """The ids of one request: ASCII letters, digits, `_`, `-`. Results belong to the latest call that has their id."""

    __slots__ = ("_current", "_unanswered", "_used")

    def __init__(self) -> None:
        self._current: dict[str, str] = {}
        self._unanswered: dict[str, str] = {}
        self._used: set[str] = set()

    def call(self, call_id: str) -> str:
        """The id for a call."""
        made, number = self._accepted(call_id), 2
        while made in self._used:
            made, number = self._again(call_id, number), number + 1
        self._used.add(made)
        self._current[call_id] = self._unanswered[call_id] = made
        return made

    def result(self, call_id: str) -> str | None:
        """The id for a result; None if no call before it has that id."""
        self._unanswered.pop(call_id, None)
        return self._current.get(call_id)

    def give_up(self) -> list[str]:
        """The ids of the calls without a result so far; one that comes later belongs to no call."""
        unanswered, self._unanswered = self._unanswered, {}
        for call_id in unanswered:
            del self._current[call_id]
        return list(unanswered.values())

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


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
