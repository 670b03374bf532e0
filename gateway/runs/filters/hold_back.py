"""`holdBack` withholds the beginning of an answer, or all of it, so that the answer can start again after a failure."""

import math

from gateway.core.event import Batch, Finish, RefusalDelta, TextDelta, ToolCallDelta

ALL = math.inf

_MAX_CHARACTERS = 16 * 2**20


class HoldBack:
    """A filter that holds an answer until it has `characters` of text and arguments, or its end."""

    __slots__ = ("_held", "_left")

    def __init__(self, characters: float) -> None:
        self._held: Batch = []
        self._left = min(characters, _MAX_CHARACTERS)

    def feed(self, batch: Batch) -> Batch:
        """See `gateway.runs.filters.contract.EventFilter`."""
        if self._left <= 0:
            return batch
        self._held += batch
        for event in batch:
            match event:
                case TextDelta() | RefusalDelta():
                    self._left -= len(event.text)
                case ToolCallDelta():
                    self._left -= len(event.arguments)
                case Finish():
                    self._left = 0
                case _:
                    pass
        if self._left > 0:
            return []
        held, self._held = self._held, []
        return held
