"""Results → rows with budgets → a Markdown table. `run` measures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from streams import Lag

MEGABYTE = 1024 * 1024
FIRST_200_BUDGET = 1.5  # seconds
IDLE_RSS_BUDGET = 80.0  # MB
STREAMS_RSS_BUDGET = 250.0  # MB
LAG_ALLOWANCE = 10.0  # ms above the bare proxy


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None without a budget, `ratio` is None without a value of the bare proxy."""

    name: str
    title: str
    unit: str
    bare: float
    target: float
    ratio: float | None
    budget: str = ""
    met: bool | None = None


def cost_row(name: str, title: str, unit: str, pairs: Sequence[tuple[float, float]], budget: float | None) -> Row:
    """CPU per unit as (bare, target) of each round: medians, and the median of the rounds' ratios."""
    ratio = median(target / bare for bare, target in pairs)
    bare, target = (median(values) for values in zip(*pairs, strict=True))
    if budget is None:
        return Row(name, title, unit, bare, target, ratio)
    return Row(name, title, unit, bare, target, ratio, f"ratio ≤ {budget:g}", ratio <= budget)


def limit_row(name: str, title: str, unit: str, bare: float, target: float, limit: float) -> Row:
    """A value of the target with an absolute limit."""
    return Row(name, title, unit, bare, target, None, f"≤ {limit:g} {unit}".rstrip(), target <= limit)


def stream_rows(bare: Lag, target: Lag) -> list[Row]:
    """The results of many slow streams."""
    count = f"{target.streams:,} streams"
    allowed = bare.p99 * 1e3 + LAG_ALLOWANCE
    per_chunk = [(bare.cpu_per_chunk * 1e6, target.cpu_per_chunk * 1e6)]
    p50 = Row("streams.p50", f"{count}, lag p50", "ms", bare.p50 * 1e3, target.p50 * 1e3, None)
    first = Row("streams.first", f"{count}, first byte p99", "ms", bare.first_p99 * 1e3, target.first_p99 * 1e3, None)
    return [
        limit_row("streams.failures", f"{count}, failures", "", bare.failures, target.failures, 0),
        p50,
        limit_row("streams.p99", f"{count}, lag p99", "ms", bare.p99 * 1e3, target.p99 * 1e3, round(allowed, 1)),
        first,
        cost_row("streams.cpu", f"{count}, CPU per chunk", "µs", per_chunk, None),
        limit_row("streams.rss", f"{count}, RSS", "MB", bare.rss / MEGABYTE, target.rss / MEGABYTE, STREAMS_RSS_BUDGET),
    ]


def _number(value: float, unit: str) -> str:
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{0 if value == 0 else digits}f} {unit}".rstrip()


def table(rows: Iterable[Row], target: str) -> str:
    """The rows as Markdown, aligned for a terminal."""
    verdict = {True: "yes", False: "**no**", None: ""}
    cells = [("", "bare", target, "ratio", "budget", "met")]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        values = _number(row.bare, row.unit), _number(row.target, row.unit)
        cells.append((row.title, *values, ratio, row.budget, verdict[row.met]))
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)
