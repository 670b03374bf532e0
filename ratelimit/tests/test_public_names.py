import ast
import subprocess
import sys
from pathlib import Path

import pytest

import openclaw_ratelimit

PACKAGE = Path(openclaw_ratelimit.__file__).parent
TESTS = Path(__file__).parent


def test_all_is_complete():
    shown = {
        name for name, value in vars(openclaw_ratelimit).items() if not name.startswith("_") and isinstance(value, type)
    } - {"Any"}
    assert shown <= set(openclaw_ratelimit.__all__)
    assert all(hasattr(openclaw_ratelimit, name) for name in openclaw_ratelimit.__all__)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_library_imports_the_standard_library_limits_and_in_four_modules_redis(path):
    allowed = sys.stdlib_module_names | {"openclaw_ratelimit", "limits"}
    if path.stem in ("connection", "link", "link_errors", "pipeline"):
        allowed |= {"redis"}
    assert set(imported(path)) <= allowed


def test_neither_the_library_nor_its_tests_import_the_program_around_them():
    for folder in (PACKAGE, TESTS, PACKAGE.parent / "bench"):
        for path in folder.rglob("*.py"):
            assert {"gateway", "tests"}.isdisjoint(imported(path)), path


def test_in_one_process_nothing_of_redis_is_imported_or_required():
    code = """
import sys
sys.modules["redis"] = None  # as if it were not installed
import asyncio, openclaw_ratelimit as o
limiter = o.FailureLimiter(o.LockoutPolicy(max_attempts=1))
assert asyncio.run(limiter.record_failure("a")).allowed and limiter.locked()
quota = o.Quota([o.QuotaPolicy.parse("all", "5/minute")])
async def reserve(): return await quota.reserve({})
assert isinstance(asyncio.run(reserve()), o.Reservation)
assert not [name for name in sys.modules if name.startswith("redis.")]
try:
    o.ReplicationLink
except ModuleNotFoundError as error:
    assert "openclaw-ratelimit[redis]" in str(error)
    print("told")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("told\n", "")
