"""Releases of locks in files, between processes that share a directory."""

import json

import pytest

from gateway.access.release_spool import Release, ReleaseSpool

ATTACKER = "203.0.113.9"


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state" / "released"


@pytest.fixture
def spool(directory, clock):
    return lambda: ReleaseSpool(directory, max_age=300.0, clock=clock)


def test_each_process_reads_a_release_once_and_a_later_one_again(spool, clock):
    writer, reader = spool(), spool()
    assert reader.read() == []
    writer.write(ATTACKER)
    clock.now += 0.5
    assert reader.read() == [Release(ATTACKER, 0.5)]
    assert reader.read() == []
    writer.write(ATTACKER)
    assert reader.read() == [Release(ATTACKER, 0.0)]
    writer.write("2001:db8::/64")
    assert reader.read() == [Release("2001:db8::/64", 0.0)]


def test_a_release_outlives_its_process_and_is_removed_when_no_lock_can_be_as_old(spool, directory, clock):
    spool().write(ATTACKER)
    clock.now += 299.0
    assert spool().read() == [Release(ATTACKER, 299.0)]
    clock.now += 2.0
    assert spool().read() == []
    assert list(directory.iterdir()) == []


def test_a_release_waits_while_the_system_clock_is_set_back(spool, clock):
    spool().write(ATTACKER)
    reader = spool()
    clock.now -= 20.0
    assert reader.read() == []
    clock.now += 21.0
    assert reader.read() == [Release(ATTACKER, 1.0)]


HUGE = b'{"key":"a","time":' + b"9" * 400 + b"}"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"5", b'{"key":5,"time":1}', b'{"key":"a"}', b'{"key":"a","time":"nan"}', HUGE, b"\xff" * 5_000],
)
def test_a_file_without_a_release_is_removed(spool, directory, content):
    directory.mkdir(parents=True)
    (directory / ("0" * 32)).write_bytes(content)
    assert spool().read() == []
    assert list(directory.iterdir()) == []


def test_other_files_are_left_alone(spool, directory, clock):
    directory.mkdir(parents=True)
    for name in ("gateway.sqlite", "a", "F" * 32):
        (directory / name).write_bytes(json.dumps({"key": ATTACKER, "time": clock.now}).encode())
    assert spool().read() == []
    assert len(list(directory.iterdir())) == 3


def test_nobody_else_can_read_or_write_releases(spool, directory):
    spool().write(ATTACKER)
    (file,) = directory.iterdir()
    assert (file.stat().st_mode & 0o777, directory.stat().st_mode & 0o777) == (0o600, 0o700)
    assert spool().read()[0].key == ATTACKER


def test_a_directory_that_can_not_be_written_raises(tmp_path, clock):
    (tmp_path / "state").write_text("a file")
    spool = ReleaseSpool(tmp_path / "state" / "released", max_age=300.0, clock=clock)
    with pytest.raises(OSError, match=r"state"):
        spool.write(ATTACKER)
    assert spool.read() == []
