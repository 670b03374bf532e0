import asyncio
import shutil
import sqlite3
import stat
import threading
from contextlib import closing

import pytest
import pytest_asyncio

from gateway.core.errors import Unavailable
from gateway.state import stale_log
from gateway.state.sqlite import Database

TABLE = (("CREATE TABLE words (word TEXT NOT NULL)",),)


def put(word):
    return lambda connection: connection.execute("INSERT INTO words VALUES (?)", (word,)).rowcount


def words(connection):
    return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY rowid")]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "test.sqlite"


@pytest_asyncio.fixture
async def database(file):
    database = Database(file, TABLE)
    yield database
    await database.close()


async def test_nothing_is_made_before_it_is_needed(database, file):
    before = threading.active_count()
    assert not file.exists()
    await database.write(put("a"))
    assert file.exists()
    assert threading.active_count() == before + 1


async def test_other_users_can_not_read_the_file(database, file):
    await database.write(put("a"))
    for path in file.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_work_that_fails_undoes_itself_and_not_its_neighbours(database):
    def half(connection):
        put("b")(connection)
        raise KeyError("no")

    outcomes = await asyncio.gather(
        database.write(put("a")), database.write(half), database.write(put("c")), return_exceptions=True
    )
    assert outcomes[0] == outcomes[2] == 1
    assert isinstance(outcomes[1], KeyError)
    assert await database.read(words) == ["a", "c"]


async def test_a_writer_that_is_cancelled_has_written(database):
    task = asyncio.create_task(database.write(put("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.read(words) == ["a"]


async def test_closing_finishes_the_waiting_jobs(database, file):
    tasks = [asyncio.create_task(database.write(put(str(number)))) for number in range(200)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*tasks) == [1] * 200
    with sqlite3.connect(file) as connection:
        assert len(words(connection)) == 200
    connection.close()


async def test_a_closed_database_raises_unavailable(database, file):
    await database.write(put("a"))
    await database.close()
    with pytest.raises(Unavailable, match="stopping"):
        await database.write(put("b"))
    assert "sqlite" not in [thread.name for thread in threading.enumerate()]


async def test_a_full_disk_fails_writes_but_no_reads(database):
    await database.write(put("a"))
    await database.read(lambda connection: connection.execute("PRAGMA max_page_count = 3").fetchall())
    written = await asyncio.gather(
        *(database.write(put(letter * 5000)) for letter in "bcd"), database.read(words), return_exceptions=True
    )
    assert any(isinstance(one, Unavailable) and "full" in one.message for one in written)
    stored = await database.read(words)
    assert stored == ["a", *(letter * 5000 for letter, one in zip("bcd", written, strict=False) if one == 1)]
    await database.read(lambda connection: connection.execute("PRAGMA max_page_count = 1000").fetchall())
    await database.write(put("e"))
    assert (await database.read(words))[-1] == "e"


async def test_a_file_that_another_process_locks_fails_writes_after_a_timeout_but_no_reads(file):
    database = Database(file, TABLE, busy_timeout=0.2)
    await database.write(put("a"))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.ensure_future(one) for one in (database.write(put("b")), database.read(words))]
    assert await waiting[1] == ["a"]
    with pytest.raises(Unavailable, match="locked"):
        await waiting[0]
    other.execute("ROLLBACK")
    other.close()
    await database.write(put("c"))
    assert await database.read(words) == ["a", "c"]
    await database.close()


async def test_a_file_of_an_earlier_version_is_brought_up_to_date(file):
    first = Database(file, TABLE)
    await first.write(put("a"))
    await first.close()
    later = Database(file, (*TABLE, ("ALTER TABLE words ADD COLUMN size INTEGER", "UPDATE words SET size = 1")))
    try:
        assert await later.read(lambda connection: list(connection.execute("SELECT * FROM words"))) == [("a", 1)]
    finally:
        await later.close()


async def test_a_change_of_tables_happens_whole_or_not_at_all(file):
    broken = Database(file, (*TABLE, ("ALTER TABLE words ADD COLUMN size INTEGER", "no such statement")))
    with pytest.raises(Unavailable):
        await broken.write(put("a"))
    await broken.close()
    whole = Database(file, (*TABLE, ("ALTER TABLE words ADD COLUMN size INTEGER",)))
    try:
        assert await whole.read(words) == []
    finally:
        await whole.close()


async def test_a_file_of_a_newer_version_stays_unchanged(file):
    newer = Database(file, (*TABLE, ("CREATE TABLE more (x)",)))
    await newer.write(put("a"))
    await newer.close()
    older = Database(file, TABLE)
    with pytest.raises(Unavailable, match="newer version"):
        await older.read(words)
    await older.close()


async def test_a_file_that_can_not_be_opened_fails_the_caller_and_is_tried_again(database, file):
    file.parent.write_text("in the way")
    with pytest.raises(Unavailable, match="database"):
        await database.write(put("a"))
    file.parent.unlink()
    await database.write(put("b"))
    assert await database.read(words) == ["b"]


async def test_a_file_that_is_no_database_is_not_overwritten(database, file):
    file.parent.mkdir()
    file.write_bytes(b"a letter to grandma " * 100)
    with pytest.raises(Unavailable):
        await database.write(put("a"))
    assert file.read_bytes().startswith(b"a letter")


@pytest.mark.parametrize("others", [True, False], ids=["with its log", "alone"])
async def test_a_file_that_is_deleted_while_it_is_open_is_created_again(database, file, others):
    await database.write(put("lost"))
    for path in list(file.parent.iterdir()) if others else [file]:
        path.unlink()
    await database.write(put("a"))
    assert await database.read(words) == ["a"]
    with closing(sqlite3.connect(file)) as connection:
        assert words(connection) == ["a"], "what was written is in the file that the next start opens"


async def test_a_file_that_is_restored_while_another_one_is_open_is_used(database, file, tmp_path):
    await database.write(put("a"))
    backup = Database(tmp_path / "backup", TABLE)
    await backup.write(put("of the backup"))
    await backup.close()
    for path in file.parent.iterdir():  # as after `rm gateway.sqlite*`: a log belongs to its file
        path.unlink()
    backup._path.rename(file)
    assert await database.read(words) == ["of the backup"]
    await database.write(put("b"))
    assert await database.read(words) == ["of the backup", "b"]


async def test_the_health_names_what_failed_until_it_succeeds(database, file):
    file.parent.write_text("in the way")
    with pytest.raises(Unavailable) as raised:
        await database.write(put("a"))
    assert database.health.problem == raised.value.message
    assert "Try again" not in raised.value.message, "that does not help"
    file.parent.unlink()
    await database.read(words)
    assert database.health.problem is not None, "only a write shows that writing is possible again"
    await database.write(put("b"))
    assert database.health.problem is None


async def test_a_full_disk_is_a_problem_while_reads_succeed(database):
    await database.write(put("a"))
    await database.read(lambda connection: connection.execute("PRAGMA max_page_count = 3").fetchall())
    with pytest.raises(Unavailable, match="Try again"):
        await database.write(put("b" * 20_000))
    assert await database.read(words) == ["a"]
    assert "full" in database.health.problem
    await database.read(lambda connection: connection.execute("PRAGMA max_page_count = 1000").fetchall())
    await database.write(put("c"))
    assert database.health.problem is None


@pytest.mark.parametrize("version", [0, 1, 5])
async def test_the_database_of_another_program_is_refused_and_stays_unchanged(database, file, version):
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.execute(f"PRAGMA user_version = {version}")
        other.commit()
    before = file.read_bytes()
    await database.inspect()
    assert "another program" in database.health.problem
    with pytest.raises(Unavailable, match="another program"):
        await database.write(put("a"))
    with closing(sqlite3.connect(file)) as other:
        assert [name for (name,) in other.execute("SELECT name FROM sqlite_master")] == ["recipes"]
        assert other.execute("PRAGMA application_id").fetchone() == (0,)
    assert len(file.read_bytes()) == len(before)


async def test_a_file_from_before_the_mark_is_ours(file):
    first = Database(file, TABLE)
    await first.write(put("a"))
    await first.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA application_id = 0")
    again = Database(file, TABLE)
    await again.inspect()
    assert again.health.problem is None
    assert await again.read(words) == ["a"]
    await again.close()


async def test_an_inspection_creates_nothing(database, file):
    await database.inspect()
    assert database.health.problem is None
    assert not file.parent.exists()
    await database.write(put("a"))
    names = sorted(path.name for path in file.parent.iterdir())
    await Database(file, TABLE).inspect()
    assert sorted(path.name for path in file.parent.iterdir()) == names


def a_file_in_the_way(file):
    file.parent.write_text("in the way")


def a_directory(file):
    file.mkdir(parents=True)


def no_database(file):
    file.parent.mkdir()
    file.write_bytes(b"a letter to grandma " * 100)


def newer(file):
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE words (word TEXT)")
        connection.execute("PRAGMA user_version = 9")


UNUSABLE = [
    (a_file_in_the_way, "is not a directory"),
    (a_directory, "is not a file"),
    (no_database, "file is not a database"),
    (newer, "was written by a newer version"),
]


@pytest.mark.parametrize(("make", "reason"), UNUSABLE)
async def test_an_inspection_finds_what_can_not_be_used(database, file, make, reason):
    make(file)
    await database.inspect()
    assert reason in database.health.problem
    assert str(file.parent) in database.health.problem


async def test_a_copy_that_is_restored_while_the_database_is_open_gets_nothing_of_the_old_log(database, file):
    await database.write(put("copied"))
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(file.with_name("copy"))) as copy:
        source.backup(copy)
    for number in range(300):
        await database.write(put(f"later {number}"))
    file.with_name("copy").replace(file)
    assert await database.read(words) == ["copied"]
    await database.write(put("after"))
    assert await database.read(words) == ["copied", "after"]
    assert await database.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]


async def test_a_copy_that_is_restored_with_a_log_of_its_own_keeps_it(database, file):
    await database.write(put("old"))
    other = Database(file.with_name("other"), TABLE)
    await other.write(put("in the log"))
    for suffix in ("-wal", ""):
        shutil.copy(f"{other._path}{suffix}", f"{file}{suffix}-new")
    for suffix in ("-wal", ""):
        file.with_name(f"{file.name}{suffix}-new").replace(f"{file}{suffix}")
    assert await database.read(words) == ["in the log"]
    await other.close()


def crashed(file, copy):
    """The files of `file` as a crash leaves them, at `copy`."""
    copy.parent.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")


async def later_than(file):
    """Return once what is written from now on is surely newer than the file: the kernel's times have coarse steps."""
    probe = file.with_name("probe")
    probe.touch()
    while probe.stat().st_ctime <= file.stat().st_ctime + 0.01:
        await asyncio.sleep(0)
        probe.touch()
    probe.unlink()


@pytest.fixture
async def backup(database, file, tmp_path, monkeypatch):
    """A backup of the database, with more in the database since then."""
    monkeypatch.setattr(stale_log, "_MIN_AGE", 0.01)
    backup = tmp_path / "backup"
    for number in range(20):
        await database.write(put(f"early {number}"))
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    for number in range(300):
        await database.write(put(f"later {number}"))
    return backup


async def test_a_backup_beside_the_log_of_a_crash_is_not_opened(file, backup, tmp_path):
    """SQLite would write the pages of the old file into the backup, which is corrupt afterwards."""
    restored = tmp_path / "restored" / "test.sqlite"
    crashed(file, restored)
    await later_than(restored.with_name("test.sqlite-wal"))
    shutil.copy(backup, restored)
    before = restored.read_bytes()
    again = Database(restored, TABLE)
    await again.inspect()
    assert "restored without test.sqlite-wal, move test.sqlite-wal and test.sqlite-shm away" in again.health.problem
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"move test\.sqlite-wal and test\.sqlite-shm away") as raised:
            await again.write(put("after"))
    assert str(tmp_path) not in raised.value.message, "clients must not see paths"
    assert restored.read_bytes() == before
    restored.with_name("test.sqlite-wal").rename(tmp_path / "old-wal")
    await again.write(put("after"))
    assert await again.read(words) == [*(f"early {number}" for number in range(20)), "after"]
    assert again.health.problem is None
    await again.close()


@pytest.mark.parametrize("checkpoint", [None, "PASSIVE", "FULL", "RESTART"])
@pytest.mark.usefixtures("backup")
async def test_what_a_crash_has_left_is_opened_whatever_the_times_of_its_files_are(file, tmp_path, checkpoint):
    if checkpoint is not None:
        await later_than(file.with_name(f"{file.name}-wal"))
        with closing(sqlite3.connect(file)) as other:  # writes the file after its log
            other.execute(f"PRAGMA wal_checkpoint({checkpoint})")
    restored = tmp_path / "restored" / "test.sqlite"
    crashed(file, restored)
    await later_than(restored.with_name("test.sqlite-wal"))
    if checkpoint is None:
        restored.with_name("test.sqlite-wal").touch()
    else:
        restored.chmod(0o600)  # also makes it the newer one
    again = Database(restored, TABLE)
    await again.inspect()
    assert again.health.problem is None
    assert len(await again.read(words)) == 320
    await again.close()


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 5000, b"\x37\x7f\x06\x82" + bytes(100)])
async def test_a_log_without_a_transaction_is_sqlites_own_affair(database, file, monkeypatch, content):
    monkeypatch.setattr(stale_log, "_MIN_AGE", -1000.0)
    await database.write(put("a"))
    await database.close()
    file.with_name("test.sqlite-wal").write_bytes(content)
    again = Database(file, TABLE)
    assert await again.read(words) == ["a"]
    await again.close()
