"""What the Dockerfile removes from the installed packages is not missed."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ENV = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
PACKAGES = ("aiohttp", "frozenlist", "msgspec", "multidict", "propcache", "selectolax", "uvloop", "yarl")


def environment_of(folder: Path) -> tuple[Path, Path]:
    """A virtual environment with copies of some packages that have libraries; the others are those of this one.

    Returns the environment and its packages.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder], check=True, timeout=60)
    (packages,) = folder.glob("lib/python3*/site-packages")
    here = Path(importlib.util.find_spec("aiohttp").origin).parents[1]
    for name in PACKAGES:
        shutil.copytree(here / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "others.pth").write_text(f"{here}\n{ROOT}\n{ROOT / 'ratelimit'}\n", encoding="utf-8")
    absent = f"import sys\nsys.modules |= dict.fromkeys({absent_from_the_image()})\n"
    (packages / "sitecustomize.py").write_text(absent, encoding="utf-8")
    compiled = [folder / "bin" / "python", "-m", "compileall", "-q", packages]
    subprocess.run(compiled, check=True, timeout=120, env=_ENV)
    return folder, packages


def absent_from_the_image() -> list[str]:
    """The modules of installed packages that the image's lock does not have, such as those of extras and of tests."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    locked |= {"openclaw-gateway", "openclaw-ratelimit"}
    installed = packages_distributions().items()
    return sorted(module for module, names in installed if locked.isdisjoint(map(_normal, names)))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_a_shrunk_environment_is_smaller_and_still_works(tmp_path):
    environment, packages = environment_of(tmp_path / "environment")
    spent = packages / "uvloop" / "loop.pyx"
    assert spent.exists()

    done = subprocess.run(
        [sys.executable, "-B", ROOT / "deploy" / "shrink_image.py", environment],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=_ENV,
    )

    assert done.stdout.startswith("saved ")
    assert int(done.stdout.split()[1]) >= 15  # debug information of uvloop and aiohttp alone
    assert not spent.exists()
    use = (
        "import asyncio, uvloop, aiohttp, msgspec, yarl, selectolax.lexbor as html, multidict\n"
        "assert aiohttp.http_parser.HttpRequestParser is not aiohttp.http_parser.HttpRequestParserPy\n"
        "assert msgspec.json.decode(b'[1]') == [1]\n"
        "assert html.LexborHTMLParser('<p>text</p>').text() == 'text'\n"
        "asyncio.Runner(loop_factory=uvloop.new_event_loop).run(asyncio.sleep(0))\n"
        f"assert uvloop.loop.__file__.startswith({str(packages)!r})\n"
    )
    subprocess.run([environment / "bin" / "python", "-c", use], check=True, timeout=60, env=_ENV)
    describe = [environment / "bin" / "python", "-m", "gateway", "openapi"]
    described = subprocess.run(describe, check=True, capture_output=True, timeout=60, env=_ENV)
    assert "/v1/chat/completions" in json.loads(described.stdout)["paths"]
    assert list(packages.glob("aiohttp/**/client.*.pyc"))  # imported modules stay compiled
    assert not list(packages.glob("aiohttp/**/test_utils.*.pyc"))
