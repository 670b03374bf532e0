"""Adds the snapshots of several processes up, by the merge rule of each family."""

from collections.abc import Iterable, Mapping

from gateway.metrics.registry import Distribution, Family, Snapshot

Value = float | Distribution


class Merged:
    """The processes of one gateway. `families` are all that they may send; other names are ignored.

    What ended processes have counted stays in the sums; their gauges go with them.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._families: Mapping[str, Family] = {family.name: family for family in families}
        self._present: dict[int, Snapshot] = {}
        self._ended: Snapshot = {}

    def put(self, process: int, snapshot: Snapshot) -> None:
        """Replace the snapshot of a running process by its newer one."""
        self._present.pop(process, None)  # so that the newest is the last, for `latest`
        self._present[process] = snapshot

    def end(self, process: int) -> None:
        """The process has ended."""
        snapshot = self._present.pop(process, None)
        if snapshot is not None:
            counted = {name: series for name, series in snapshot.items() if self._stays(name)}
            self._ended = self._sum((self._ended, counted))

    def snapshot(self) -> Snapshot:
        """All processes together."""
        return self._sum((self._ended, *self._present.values()))

    def _stays(self, name: str) -> bool:
        family = self._families.get(name)
        return family is not None and family.kind != "gauge"

    def _sum(self, snapshots: Iterable[Snapshot]) -> Snapshot:
        total: Snapshot = {}
        for snapshot in snapshots:
            for name, series in snapshot.items():
                family = self._families.get(name)
                if family is None:
                    continue
                known = total.setdefault(name, {})
                for labels, value in series.items():
                    known[labels] = _merged(family, known[labels], value) if labels in known else value
        return total


def _merged(family: Family, first: Value, second: Value) -> Value:
    if isinstance(first, Distribution) or isinstance(second, Distribution):
        if not (isinstance(first, Distribution) and isinstance(second, Distribution)):
            raise TypeError(f"{family.name}: one process sends a histogram, another one does not")
        counts = [one + other for one, other in zip(first.counts, second.counts, strict=True)]
        return Distribution(counts, first.sum + second.sum)
    match family.merge:
        case "sum":
            return first + second
        case "max":
            return max(first, second)
        case "min":
            return min(first, second)
        case "latest":
            return second
