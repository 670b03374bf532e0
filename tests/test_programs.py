"""Which redis-server and nginx the tests run."""

import os
from pathlib import Path

import pytest

from tests.programs import NGINX, REDIS, Unusable, find, nginx_program, redis_program, report

OLD, NEW = "nginx version: nginx/1.22.1", "nginx version: nginx/1.27.3 (Debian)"


def script(folder: Path, name: str, says: str) -> str:
    """A program that writes this to its standard error, as nginx does with its version."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}' >&2\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def test_a_program_on_path_is_taken_when_it_is_new_enough(tmp_path: Path):
    path = script(tmp_path, "nginx", NEW)
    taken = find(NGINX, {"PATH": str(tmp_path)})
    assert (taken.path, taken.version, taken.passed_over) == (path, (1, 27, 3), "")


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (OLD, "is 1.22.1, and 1.27.3 or newer is needed"),
        ("nginx version: openresty/1.29.1.1", "prints no version of nginx, but 'nginx version: openresty/1.29.1.1'"),
        ("error while loading shared libraries", "prints no version of nginx"),
    ],
    ids=["too old", "another program", "broken"],
)
def test_the_bundled_program_replaces_an_unsuitable_one_on_path(tmp_path: Path, says: str, why: str):
    path = script(tmp_path, "nginx", says)
    taken = find(NGINX, {"PATH": str(tmp_path)})
    assert taken.path == NGINX.bundled()
    assert taken.version >= NGINX.oldest
    assert path in taken.passed_over
    assert why in taken.passed_over


def test_a_program_on_path_that_can_not_be_run_is_passed_over(tmp_path: Path):
    path = script(tmp_path, "redis-server", "")
    Path(path).write_bytes(b"\x7fELF of another machine")
    taken = find(REDIS, {"PATH": str(tmp_path)})
    assert taken.path == REDIS.bundled()
    assert f"{path} can't be asked for its version" in taken.passed_over


def test_the_bundled_program_is_taken_when_there_is_none_on_path(tmp_path: Path):
    for wanted in (REDIS, NGINX):
        taken = find(wanted, {"PATH": str(tmp_path)})
        assert (taken.path, taken.origin, taken.passed_over) == (wanted.bundled(), "bundled", "")


def test_a_program_that_the_environment_names_wins_over_the_one_on_path(tmp_path: Path):
    named = script(tmp_path / "named", "some-nginx", NEW)
    script(tmp_path / "path", "nginx", NEW)
    assert find(NGINX, {"PATH": str(tmp_path / "path"), "NGINX": named}).path == named


def test_an_unsuitable_program_that_the_environment_names_is_refused(tmp_path: Path):
    named = script(tmp_path, "nginx", OLD)
    with pytest.raises(Unusable, match=r"NGINX names an unusable program: .* is 1\.22\.1, and 1\.27\.3 or newer"):
        find(NGINX, {"NGINX": named})


def test_the_report_names_what_the_tests_run():
    redis, nginx = report()
    assert redis.startswith(f"redis-server: {'.'.join(map(str, find(REDIS, os.environ).version))}, ")
    assert f"({redis_program()})" in redis
    assert f"({nginx_program()})" in nginx
