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
        """Replace the snapshot of a running process by its newer one.

        A program of another version may send a family differently: that family is left out.
        """
        self._present.pop(process, None)  # so that the newest is the last, for `latest`
        self._present[process] = {
            name: series
            for name, series in snapshot.items()
            if (family := self._families.get(name)) is not None and all(_fits(family, one) for one in series.values())
        }

    def end(self, process: int) -> None:
        """The process has ended."""
        snapshot = self._present.pop(process, None)
        if snapshot is not None:
            counted = {name: series for name, series in snapshot.items() if self._families[name].kind != "gauge"}
            self._ended = self._sum((self._ended, counted))

    def snapshot(self) -> Snapshot:
        """All processes together."""
        return self._sum((self._ended, *self._present.values()))

    def _sum(self, snapshots: Iterable[Snapshot]) -> Snapshot:
        total: Snapshot = {}
        for snapshot in snapshots:
            for name, series in snapshot.items():
                family = self._families[name]
                known = total.setdefault(name, {})
                for labels, value in series.items():
                    known[labels] = _merged(family, known[labels], value) if labels in known else value
        return total


def _fits(family: Family, value: Value) -> bool:
    if isinstance(value, Distribution):
        return family.kind == "histogram" and len(value.counts) == len(family.buckets) + 1
    return family.kind != "histogram"


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
