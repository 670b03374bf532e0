"""The journal: the rows that a killed process had not stored, counted by the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger
from tests.unit.ledger.test_ledger import Store, finished


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ledger"


def killed(folder, attempts, stored=0):
    """A process that begins attempts, stores rows and is killed."""
    code = """
import os, signal, sys
from pathlib import Path
from gateway.ledger.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    journal.begin()
journal.settle(int(sys.argv[3]))
os.kill(os.getpid(), signal.SIGKILL)
"""
    words = [sys.executable, "-c", code, str(folder), str(attempts), str(stored)]
    assert subprocess.run(words, check=False).returncode == -9


def test_the_rows_that_a_killed_process_had_not_stored_are_counted_once(folder):
    killed(folder, 7, 4)
    first = Journal.open(folder)
    second = Journal.open(folder)
    assert (first.recovered, second.recovered) == (3, 0)
    first.close(0)
    second.close(0)
    assert list(folder.iterdir()) == []


def test_the_journals_of_several_killed_processes_add_up(folder):
    for pending in (2, 0, 5):
        killed(folder, pending)
    assert Journal.open(folder).recovered == 7
    assert len(list(folder.iterdir())) == 1


def test_a_process_that_runs_owes_nothing_to_others(folder):
    running = Journal.open(folder)
    running.begin()
    other = Journal.open(folder)
    assert (running.pending, other.recovered) == (1, 0)
    running.close(0)
    other.close(0)


def test_what_was_recovered_is_not_forgotten_if_that_process_is_killed_too(folder):
    killed(folder, 3)
    killed(folder, 2)
    assert Journal.open(folder).recovered == 5


@pytest.mark.parametrize(
    "content", [b"", b"x", b"something else entirely, longer than the counts are", b"OCLEDGE1" + b"\0" * 8 + b"\1" * 8]
)
def test_a_file_that_is_no_journal_counts_nothing(folder, content):
    folder.mkdir()
    (folder / "1-x.journal").write_bytes(content)
    assert Journal.open(folder).recovered == 0


def test_other_users_can_not_read_it(folder):
    journal = Journal.open(folder)
    (file,) = folder.iterdir()
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    journal.close(0)


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_folder_that_can_not_be_written_is_an_error_that_leaves_nothing_open(tmp_path):
    before = open_files()
    (tmp_path / "ledger").write_text("a file")
    with pytest.raises(OSError, match="exists"):
        Journal.open(tmp_path / "ledger")
    assert open_files() == before


def ledger_of(folder, store, **more):
    return Ledger(store, journal=Journal.open(folder), clock=lambda: 1000.0, interval=0.0, **more)


def begin(ledger, run):
    for _ in run.trace.attempts:
        ledger.on_attempt()
    return run


async def test_the_next_ledger_stores_how_many_rows_were_lost_without_waiting_for_a_request(folder, capsys):
    killed(folder, 5)
    store = Store()
    ledger = ledger_of(folder, store)
    ledger.start()
    assert (ledger.lost, ledger.pending) == (5, 5)
    await ledger.close()
    assert (store.lost, store.requests) == (5, [])
    assert list(folder.iterdir()) == []


async def test_rows_are_pending_from_the_begin_of_an_attempt_until_they_are_stored(folder):
    store = Store()
    ledger = ledger_of(folder, store)
    observe = ledger.observer({})
    ledger.on_attempt()
    run = begin(ledger, finished(attempts=2))
    observe(run)
    assert ledger.pending == 3
    await ledger.flush()
    assert (ledger.pending, len(store.requests)) == (1, 2)
    await ledger.close()


async def test_rows_that_can_not_be_stored_at_the_end_are_counted_by_the_next_process(folder, monkeypatch):
    store = Store()
    store.failing = 10**6
    ledger = ledger_of(folder, store)
    ledger.start()
    ledger.observer({})(begin(ledger, finished(attempts=2)))
    with monkeypatch.context() as patch:
        patch.setattr("gateway.ledger.ledger._CLOSING", 0.01)
        await ledger.close()
    with pytest.raises(Unavailable):
        await ledger.flush()
    later = ledger_of(folder, store)
    assert later.pending == 2
    store.failing = 0
    later.start()
    await later.close()
    assert store.lost == 2


def test_processes_that_start_at_the_same_time_do_not_disturb_each_other(folder):
    killed(folder, 7)
    code = """
import sys
from pathlib import Path
from gateway.ledger.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
print(journal.recovered, flush=True)
sys.stdin.read()
journal.close(0)
"""
    words = [sys.executable, "-c", code, str(folder)]
    started = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    recovered = [int(process.stdout.readline()) for process in started]
    for process in started:
        process.communicate()
    assert sorted(recovered) == [0, 0, 0, 7]
    assert list(folder.iterdir()) == []
