"""The distribution in a fresh virtual environment, beside the package that has its former name. Needs the index."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import pytest_asyncio

from support.servers import redis_server

ROOT = Path(__file__).parents[1]
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
OTHER = "ratelimit==2.2.1"

pytestmark = pytest.mark.timeout(300)


_OURS = ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "REDIS_URL")


class Environment:
    """A virtual environment with nothing of this one."""

    def __init__(self, folder):
        venv.create(folder, with_pip=True)
        self.python = folder / "bin" / "python"
        self.folder = folder

    def pip(self, *words):
        # The project must lie elsewhere: building it must leave nothing in the tree.
        self.run("-m", "pip", "--disable-pip-version-check", "--quiet", *words)

    def run(self, *words, check=True, **variables):
        clean = {name: value for name, value in os.environ.items() if name not in _OURS}
        done = subprocess.run(
            [self.python, *words],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=clean | variables,
            timeout=240,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    environment = Environment(tmp_path_factory.mktemp("bare"))
    environment.pip("install", str(ROOT))
    return environment


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    environment = Environment(tmp_path_factory.mktemp("full"))
    environment.pip("install", f"{ROOT}[redis]")
    return environment


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


def test_the_readme_has_five_programs():
    assert len(PROGRAMS) == 5


@pytest.mark.parametrize("number", range(5))
def test_a_program_of_the_readme_works_in_a_process(bare, number):
    program = PROGRAMS[number]
    done = bare.run("-W", "error", "-c", program, check=False)
    if "\nfrom redis" in program:  # the one that is about Redis
        assert "No module named 'redis'" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", range(5))
def test_a_program_of_the_readme_works_over_redis(full, server, number):
    full.run("-W", "error", "-c", PROGRAMS[number], REDIS_URL=server.url)


def test_without_the_extra_a_link_says_what_to_install(bare):
    done = bare.run("-c", "from openclaw_ratelimit import ReplicationLink", check=False)
    assert "pip install 'openclaw-ratelimit[redis]'" in done.stderr


def test_it_is_typed_and_has_its_scripts(full):
    files = full.run(
        "-c", "import importlib.metadata as m; print(*m.files('openclaw-ratelimit'), sep='\\n')"
    ).stdout.splitlines()
    for name in ("py.typed", "failures.lua", "quota.lua", "clock.lua"):
        assert f"openclaw_ratelimit/{name}" in files
    assert {file.partition("/")[0] for file in files} <= {"openclaw_ratelimit", "openclaw_ratelimit-0.1.0.dist-info"}


def test_it_lives_beside_the_package_of_its_former_name_and_survives_its_removal(full, server):
    full.pip("install", OTHER)
    full.run("-c", "from ratelimit import limits, sleep_and_retry; import openclaw_ratelimit.link")
    full.run("-W", "error", "-c", PROGRAMS[1], REDIS_URL=server.url)
    full.pip("uninstall", "--yes", "ratelimit")
    full.run("-W", "error", "-c", PROGRAMS[1], REDIS_URL=server.url)
    assert full.run("-c", "import ratelimit", check=False).returncode == 1


def test_its_own_tests_need_nothing_of_the_program_around_it():
    code = "import sys, openclaw_ratelimit, openclaw_ratelimit.link; print('gateway' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
