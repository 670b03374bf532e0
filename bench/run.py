"""Compares the cost of the gateway with a bare aiohttp proxy: `python bench/run.py --help`. See README.md here."""

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import report
from awake_cores import awake_cores
from load import Cost, Job
from procfs import rss_bytes
from program import Program, ProgramError
from report import MEGABYTE, Row
from scenarios import SCENARIOS, TIMED, Scenario
from streams import Lag
from testbed import BARE, GATEWAY, Testbed, free_port, raise_open_file_limit

START, STREAMS = "start", TIMED.name
NAMES = (*(scenario.name for scenario in SCENARIOS), START, STREAMS)
STARTS = 4  # the first one, which compiles the modules, isn't counted
SETTLING = 1.0  # seconds before idle memory is read
WARM_UP = 0.5  # seconds of load before counting


class Contest:
    """The bare proxy and the target, measured alternately."""

    def __init__(self, testbed: Testbed, options: argparse.Namespace) -> None:
        self._testbed = testbed
        self._options = options
        target, _, command = options.target.partition("=")
        self._commands = {"bare": BARE, target: command or GATEWAY}
        self._target = target
        self._ports = {name: free_port() for name in self._commands}
        self._proxies: dict[str, Program] = {}

    def start(self, name: str, *, path: str = "/healthz") -> tuple[Program, float]:
        """Start a process of the proxy `name`. Returns it and the seconds until `path` answered 200."""
        proxy = self._testbed.proxy(name, self._commands[name], self._ports[name])
        try:
            return proxy, proxy.first_200(self._ports[name], path)
        except BaseException:
            proxy.stop()
            raise

    def starts(self) -> list[Row]:
        """Cold start and idle memory, over several processes of each."""
        health: dict[str, list[float]] = {name: [] for name in self._commands}
        models: dict[str, list[float]] = {name: [] for name in self._commands}
        idle: dict[str, float] = {}
        for _ in range(STARTS):
            for name in self._commands:
                proxy, seconds = self.start(name)
                with proxy:
                    health[name].append(seconds)
                    models[name].append(proxy.first_200(self._ports[name], "/v1/models"))
                    time.sleep(SETTLING)
                    idle[name] = rss_bytes(proxy.pid) / MEGABYTE
        limit = report.FIRST_200_BUDGET
        rows: list[Row] = []
        for path, measured in (("healthz", health), ("models", models)):
            bare, target = (median(times[1:]) for times in (measured["bare"], measured[self._target]))
            rows.append(report.limit_row(f"start.{path}", f"start to first 200, {path}", "s", bare, target, limit))
        bare, target = idle["bare"], idle[self._target]
        rows.append(report.limit_row("start.rss", "idle RSS", "MB", bare, target, report.IDLE_RSS_BUDGET))
        return rows

    def open(self, cleanup: ExitStack) -> None:
        """Start both proxies for the measurements under load."""
        for name in self._commands:
            proxy, _ = self.start(name)
            self._proxies[name] = cleanup.enter_context(proxy)
            proxy.first_200(self._ports[name], "/v1/models")

    def requests(self, scenario: Scenario) -> Row:
        """CPU per request or chunk, alternating between the two."""
        scale, unit = (1e3, "ms") if scenario.per == 1 else (1e6, "µs")
        pairs: list[tuple[float, float]] = []
        for _ in range(self._options.rounds):
            bare, target = (self._cost(scenario, name) for name in self._commands)
            pairs.append((bare * scale, target * scale))
        return report.cost_row(scenario.name, scenario.title, unit, pairs, scenario.budget)

    def streams(self) -> list[Row]:
        """Lag and memory with many open streams."""
        lags: dict[str, Lag] = {}
        for name in self._commands:
            lags[name] = Lag(**self._ask(name, STREAMS, self._options.streams))
            if problem := lags[name].problem:
                print(f"{name}: {lags[name].failures} streams failed, the first one: {problem}", file=sys.stderr)
                if name == "bare":
                    raise ProgramError("without the bare proxy's streams there is nothing to compare with")
        return report.stream_rows(lags["bare"], lags[self._target])

    def _cost(self, scenario: Scenario, name: str) -> float:
        """CPU seconds of one round per unit of the scenario."""
        cost = Cost(**self._ask(name, scenario.name, self._options.connections))
        if cost.requests < 100:
            raise ProgramError(f"{name}, {scenario.name}: only {cost.requests} answers, too few to count")
        return cost.cpu / cost.requests / scenario.per

    def _ask(self, name: str, scenario: str, connections: int) -> dict[str, Any]:
        proxy, port = self._proxies[name], self._ports[name]
        job = Job(scenario, port, proxy.pid, connections, WARM_UP, self._options.seconds)
        try:
            return self._testbed.load.ask(asdict(job))
        except ProgramError as error:
            raise proxy.failure(str(error)) from error


def machine() -> str:
    """The machine and the versions of this measurement."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?: ?")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "msgspec"))
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{model.partition(': ')[2]}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {libraries}; load average before: {load}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this; can be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements per scenario")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    parser.add_argument("--connections", type=int, default=16, help="keep-alive connections")
    parser.add_argument("--streams", type=int, default=1000, help="streams open at once")
    parser.add_argument("--redis", metavar="URL", help="let the gateway share its limits through this Redis")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument("--assert", dest="strict", action="store_true", help="exit with 1 if a budget is missed")
    parser.add_argument(
        "--target",
        default="gateway",
        metavar="NAME=COMMAND",
        help="measure this instead; COMMAND may hold {python}, {bench}, {port}, {provider}, {config} and {token}",
    )
    options = parser.parse_args()
    if options.target.partition("=")[0] in {"", "bare"}:
        parser.error("--target needs a name other than 'bare'")
    return options


def measure(contest: Contest, chosen: Callable[[str], bool]) -> Iterator[Row]:
    """All selected rows, each as soon as it is measured."""
    if chosen(START):
        yield from contest.starts()
    if not any(chosen(name) for name in NAMES if name != START):
        return
    with ExitStack() as cleanup:
        contest.open(cleanup)
        for scenario in SCENARIOS:
            if chosen(scenario.name):
                yield contest.requests(scenario)
        if chosen(STREAMS):
            yield from contest.streams()


def main() -> int:
    """Measure and print. Returns 1 if a measurement failed, or with `--assert` if a budget was missed."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process is stopped
    raise_open_file_limit()
    environment = machine()
    rows: list[Row] = []
    try:
        with awake_cores() as awake, Testbed(redis=options.redis) as testbed:
            environment += f"; idle cores {'stay awake' if awake else 'may sleep: start this as root'}"
            print(environment, flush=True)
            for row in measure(Contest(testbed, options), lambda name: not options.only or name in options.only):
                rows.append(row)
                print(".", end="", file=sys.stderr, flush=True)
    except ProgramError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(file=sys.stderr)
    print("\n" + report.table(rows, options.target.partition("=")[0]))
    if options.json:
        result = {"machine": environment, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    missed = [row.title for row in rows if row.met is False]
    if missed:
        print(f"\nOver budget: {', '.join(missed)}")
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
