"""For every test run: prints the real servers that it uses, and allows for a busy machine."""

import pytest
from hypothesis import HealthCheck, settings

from tests.programs import Unusable, report

# What Hypothesis measures is the machine's time, and somebody else may need it just then.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


def pytest_report_header() -> list[str]:
    try:
        return report()
    except Unusable as error:
        raise pytest.UsageError(str(error)) from None
