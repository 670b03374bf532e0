"""The text that Prometheus scrapes: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4)."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from gateway.metrics.registry import Distribution, Family, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def rendered(families: Iterable[Family], snapshot: Snapshot) -> bytes:
    """All series of the snapshot, in the order of `families`. A family without a series is left out."""
    lines: list[str] = []
    for family in families:
        if series := snapshot.get(family.name):
            lines.append(f"# HELP {family.name} {_help(family.help)}\n# TYPE {family.name} {family.kind}\n")
            for labels, value in series.items():
                if isinstance(value, Distribution):
                    lines += _histogram(family, labels, value)
                else:
                    lines.append(f"{family.name}{{{labels}}} {number(value)}\n" if labels else _plain(family, value))
    return "".join(lines).encode()


def _plain(family: Family, value: float) -> str:
    return f"{family.name} {number(value)}\n"


def _histogram(family: Family, labels: str, value: Distribution) -> Iterator[str]:
    name, before, alone = family.name, f"{labels}," if labels else "", f"{{{labels}}}" if labels else ""
    total = 0
    for bound, total in zip((*map(number, family.buckets), "+Inf"), accumulate(value.counts), strict=True):
        yield f'{name}_bucket{{{before}le="{bound}"}} {total}\n'
    yield f"{name}_sum{alone} {number(value.sum)}\n{name}_count{alone} {total}\n"


def number(value: float) -> str:
    """A value as text: whole numbers without a fraction."""
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
