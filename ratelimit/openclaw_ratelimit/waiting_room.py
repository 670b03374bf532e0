"""Who comes next while the budget is spent: of the keys that keep asking, the one that asked first.

Keys that asked once and don't come back (addresses of a distributed attack) stand in nobody's way for long.
"""

from collections import OrderedDict
from itertools import islice


class WaitingRoom:
    """At most `capacity` keys in the order of their first request; one that does not ask again within `max_pause`
    seconds loses its place. Times are passed in.
    """

    def __init__(self, max_pause: float, capacity: int) -> None:
        self._max_pause = max_pause
        self._capacity = capacity
        self._first: OrderedDict[str, None] = OrderedDict()
        self._last: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Keys that wait."""
        return len(self._first)

    def ask(self, key: str, now: float, places: int) -> bool:
        """Whether `key` is among the first `places`; if so it leaves the room, else it waits on."""
        while self._last and next(iter(self._last.values())) <= now - self._max_pause:
            del self._first[self._last.popitem(last=False)[0]]
        if key not in self._first:
            if len(self._first) >= self._capacity:
                return False
            self._first[key] = None
        self._last[key] = now
        self._last.move_to_end(key)
        if key in islice(self._first, places):
            del self._first[key], self._last[key]
            return True
        return False
