"""The leases of this instance's runs, renewed as long as the runs live."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")

_PAGE = 100  # keys in one call


class RunLeases:
    """Runs → keys of their leases. A lease lasts `seconds` without a renewal."""

    def __init__(self, clock: Callable[[], float], seconds: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._keys: dict[str, tuple[str, ...]] = {}
        self._renewed = clock()

    def add(self, run: str, keys: Iterable[str]) -> None:
        """The run holds leases with these keys, if any, from now on."""
        if held := tuple(keys):
            self._keys[run] = held

    def end(self, run: str) -> None:
        """The run is over: its leases are not renewed."""
        self._keys.pop(run, None)

    @property
    def due(self) -> bool:
        """Whether it is time to renew: three times in the life of a lease."""
        return self._clock() - self._renewed >= self._seconds / 3

    def renewals(self) -> Iterator[list[tuple[str, str]]]:
        """Pages of (key, run) to renew now.

        A run that ends during the renewal must not come back, because its end is sent after it: so each page is made
        when the caller asks for it.
        """
        self._renewed = self._clock()
        for page in pages([(key, run) for run, keys in self._keys.items() for key in keys]):
            if active := [(key, run) for key, run in page if run in self._keys]:
                yield active


def pages(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in parts that fit into one call."""
    return (items[start : start + _PAGE] for start in range(0, len(items), _PAGE))
