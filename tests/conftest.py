"""For every test run: prints the real servers that it uses, and allows for a busy machine."""

import gc
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests import fork_server
from tests.programs import Unusable, report

# Hypothesis measures real time, which a busy machine prolongs.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def pytest_configure() -> None:
    """Interrupt as Python's own handler does. Where that one is installed, asyncio replaces it for each run of a loop,
    and the signal module then formats an error with the whole task in it: several times for each test.
    """
    signal.signal(signal.SIGINT, _interrupt)


def pytest_unconfigure() -> None:
    fork_server.SHARED.close()


def pytest_report_header() -> list[str]:
    try:
        return report()
    except Unusable as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection() -> None:
    """Modules and collected tests live until the end: the garbage collector need not examine them again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """The collector examines what tests leave behind, as rarely as in a running gateway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    gc.enable()
