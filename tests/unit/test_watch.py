"""Files are watched by looking at them, with a clock of the test."""

import asyncio

import pytest

from gateway.watch import INTERVAL, Watch, emptied, look


class Looks:
    """Lets the watch look when the test says so. `loaded` is what was loaded at last; a change loads the files."""

    def __init__(self, files):
        self.files = files
        self.loaded = look(files)
        self.changes = 0
        self.enabled = True
        self._turn = asyncio.Semaphore(0)
        self._done = asyncio.Event()
        watch = Watch(lambda: self.loaded, self._load, enabled=lambda: self.enabled, sleep=self._sleep)
        self.task = asyncio.create_task(watch.run())

    async def _load(self):
        self.changes += 1
        self.loaded = look(self.files)

    async def _sleep(self, seconds):
        assert seconds == INTERVAL
        self._done.set()
        await self._turn.acquire()

    async def look(self, times=1):
        await self._done.wait()
        for _ in range(times):
            self._done.clear()
            self._turn.release()
            await self._done.wait()


@pytest.fixture
async def looks(tmp_path):
    file = tmp_path / "a"
    file.write_text("one", encoding="utf-8")
    watched = Looks([file, tmp_path / "absent"])
    yield watched
    watched.task.cancel()
    await asyncio.wait({watched.task})


async def test_nothing_happens_while_nothing_changes(looks):
    await looks.look(5)
    assert looks.changes == 0


async def test_a_change_counts_once_it_is_still_for_one_interval(looks, tmp_path):
    await looks.look(2)
    (tmp_path / "a").write_text("tw", encoding="utf-8")
    await looks.look()
    (tmp_path / "a").write_text("two, longer", encoding="utf-8")
    await looks.look()
    assert looks.changes == 0
    await looks.look()
    assert looks.changes == 1
    await looks.look(5)
    assert looks.changes == 1


async def test_replaced_files_swapped_links_new_files_and_removed_ones_are_changes(looks, tmp_path):
    def replace():
        (tmp_path / "b").write_text("one", encoding="utf-8")
        (tmp_path / "b").rename(tmp_path / "a")

    def swap():
        (tmp_path / "target").write_text("one", encoding="utf-8")
        (tmp_path / "link").symlink_to("target")
        (tmp_path / "link").rename(tmp_path / "a")

    for change in (replace, swap, (tmp_path / "absent").touch, (tmp_path / "a").unlink):
        before = looks.changes
        change()
        await looks.look(2)
        assert looks.changes == before + 1, change


async def test_a_watch_that_is_off_does_not_look(looks, tmp_path):
    looks.enabled = False
    (tmp_path / "a").write_text("two", encoding="utf-8")
    await looks.look(3)
    assert looks.changes == 0
    looks.enabled = True
    await looks.look(2)
    assert looks.changes == 1


def test_a_file_is_emptied_if_it_had_content(tmp_path):
    full, empty, absent = tmp_path / "full", tmp_path / "empty", tmp_path / "absent"
    full.write_text("x", encoding="utf-8")
    empty.touch()
    before = look([full, empty, absent])
    full.write_text("", encoding="utf-8")
    assert emptied(before, look([full, empty, absent])) == [full]
