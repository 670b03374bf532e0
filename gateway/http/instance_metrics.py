"""What is looked up at each scrape: state of this process that nobody needs to count."""

import platform
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gateway import __version__
from gateway.http.budget_alerts import BudgetAlerts
from gateway.metrics import catalog
from gateway.metrics.loop_delay import LoopDelay
from gateway.metrics.registry import Family, Registry
from gateway.runs.candidates import Candidate
from gateway.runs.cooldowns import Cooldowns

Collector = Callable[[Registry], None]
"""Sets gauges just before they are read."""


def process(registry: Registry) -> None:
    """CPU time, memory and files of this process, where the system tells."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    registry.counter(catalog.CPU_SECONDS).value = usage.ru_utime + usage.ru_stime
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        open_files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return  # not Linux
    registry.gauge(catalog.MEMORY_BYTES).set(pages * resource.getpagesize())
    registry.gauge(catalog.OPEN_FILES).set(open_files)


def build(registry: Registry) -> None:
    """The program's version, and when it started."""
    registry.gauge(catalog.BUILD, __version__, platform.python_version()).set(1)
    registry.gauge(catalog.STARTED).set(_STARTED)


_STARTED = time.time()


def number(family: Family, value: Callable[[], float]) -> Collector:
    """A gauge without labels."""

    def collect(registry: Registry) -> None:
        registry.gauge(family).set(float(value()))

    return collect


def counted(family: Family, value: Callable[[], float], *labels: str) -> Collector:
    """A counter that another part of the program keeps."""

    def collect(registry: Registry) -> None:
        registry.counter(family, *labels).value = float(value())

    return collect


def loop_delay(delay: LoopDelay) -> Collector:
    """The longest delay of the event loop."""
    return number(catalog.LOOP_DELAY, lambda: delay.max_delay)


def degraded(parts: Mapping[str, Callable[[], bool]]) -> Collector:
    """The optional parts, as `/readyz` names them."""

    def collect(registry: Registry) -> None:
        for name, is_failing in parts.items():
            registry.gauge(catalog.DEGRADED, name).set(float(is_failing()))

    return collect


def budgets(alerts: BudgetAlerts, configured: Callable[[], Iterable[str]]) -> Collector:
    """What is used of budgets and what they refuse: of those of the configuration, and of keys that were used."""

    def collect(registry: Registry) -> None:
        ratios = dict.fromkeys(configured(), 0.0) | alerts.ratios()
        registry.forget(catalog.BUDGET_USED)
        for name, ratio in ratios.items():
            registry.gauge(catalog.BUDGET_USED, name).set(ratio)
            registry.counter(catalog.BUDGET_REFUSALS, name).value = alerts.refusals.get(name, 0)

    return collect


def circuits(cooldowns: Cooldowns, candidates: Callable[[], Iterable[Candidate]]) -> Collector:
    """Which models cool down. `candidates` are the configured models with all their keys."""

    def collect(registry: Registry) -> None:
        is_open: dict[tuple[str, str], bool] = {}
        for one in candidates():
            name = one.ref.provider, one.ref.model
            is_open[name] = is_open.get(name, True) and cooldowns.cooling(one.unit)
        registry.forget(catalog.CIRCUIT_OPEN)
        for name, value in is_open.items():
            registry.gauge(catalog.CIRCUIT_OPEN, *name).set(float(value))

    return collect
