"""What every run of the tests says first: the real servers that it uses."""

import pytest

from tests.programs import Unusable, report


def pytest_report_header() -> list[str]:
    try:
        return report()
    except Unusable as error:
        raise pytest.UsageError(str(error)) from None
