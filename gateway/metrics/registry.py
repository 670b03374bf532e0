"""Counters, gauges and histograms in memory. `catalog` names them, `text` renders them, `merge` adds processes up.

Who counts asks for a series once, at start, and keeps it: counting is then one addition. The number of samples is
capped, so that a mistake with labels can fill neither this process nor Prometheus.
"""

from bisect import bisect_left
from typing import Literal, TypeVar

from msgspec import Struct

MAX_SAMPLES = 10_000
"""The samples of one process. A histogram has one per bucket, and three more."""

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min", "latest"]


class Family(Struct, frozen=True):
    """One metric: its name, what it counts, its labels, and how the processes of one gateway are combined (`merge`).

    `buckets` are the upper bounds of a histogram, in the metric's unit, without infinity.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    merge: Merge = "sum"
    buckets: tuple[float, ...] = ()


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, amount: float = 1) -> None:
        """Count `amount`."""
        self.value += amount


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, amount: float) -> None:
        """Change it by `amount`."""
        self.value += amount

    def set(self, value: float) -> None:
        """Replace it."""
        self.value = value


class Histogram:
    """How many values lie below each bound. `counts` holds one number per bucket, the last for all above."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Distribution(Struct, frozen=True):
    """The state of a histogram: the number of values per bucket, not cumulated, and their sum."""

    counts: list[int]
    sum: float


Snapshot = dict[str, dict[str, float | Distribution]]
"""All series: by name of the family, then by the text of its labels (`a="1",b="2"`, escaped)."""

Series = Counter | Gauge | Histogram
S = TypeVar("S", Counter, Gauge, Histogram)


class Registry:
    """All series of this process, at most `max_samples` samples.

    A further series is counted in `dropped` and works, but nobody sees it.
    """

    def __init__(self, max_samples: int = MAX_SAMPLES) -> None:
        self._series: dict[str, dict[str, Series]] = {}
        self._samples_left = max_samples
        self.dropped = Counter()

    def counter(self, family: Family, *labels: str) -> Counter:
        """The series with these label values, made at the first call."""
        return self._one(family, labels, Counter())

    def gauge(self, family: Family, *labels: str) -> Gauge:
        """See `counter`."""
        return self._one(family, labels, Gauge())

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """See `counter`."""
        return self._one(family, labels, Histogram(family.buckets))

    def forget(self, family: Family) -> None:
        """Remove all series of a gauge, before they are set anew."""
        for series in self._series.pop(family.name, {}).values():
            self._samples_left += _samples(series)

    def snapshot(self) -> Snapshot:
        """The present values."""
        return {name: {labels: _value(one) for labels, one in by.items()} for name, by in self._series.items()}

    def _one(self, family: Family, labels: tuple[str, ...], new: S) -> S:
        if len(labels) != len(family.labels):
            raise ValueError(f"{family.name} has the labels {family.labels}, not {len(labels)} of them")
        by_labels = self._series.setdefault(family.name, {})
        key = label_text(family.labels, labels)
        known = by_labels.get(key)
        if isinstance(known, type(new)):
            return known
        if _samples(new) > self._samples_left:
            self.dropped.add()
            return new
        self._samples_left -= _samples(new)
        by_labels[key] = new
        return new


def label_text(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """The labels as the exposition format writes them, without braces."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _samples(series: Series) -> int:
    return len(series.counts) + 2 if isinstance(series, Histogram) else 1


def _value(series: Series) -> float | Distribution:
    return Distribution(list(series.counts), series.sum) if isinstance(series, Histogram) else series.value
