import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agents.prompt import FILES, Caps, Prompt, clip, render

CAPS = Caps(file=100, total=150)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def write(folder, name, text):
    """Write a file whose time of change differs from that of every earlier one."""
    path = folder / name
    earlier = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    later = max(path.stat().st_mtime_ns, earlier + 1_000_000)
    os.utime(path, ns=(later, later))


@given(st.text(max_size=400), st.integers(0, 300))
def test_a_text_is_never_longer_than_its_limit_and_the_note(text, limit):
    clipped = clip(text, limit, "X.md")
    if len(text) <= limit:
        assert clipped == text
    else:
        assert f"X.md is cut here: {len(text)} characters, {limit} allowed" in clipped
        assert len(clipped) <= max(limit, len(clip(text, 0, "X.md")) + len(str(limit)))


def test_the_beginning_and_the_end_of_a_long_text_remain():
    clipped = clip("a" * 500 + "b" * 500, 200, "SOUL.md")
    assert clipped.startswith("aaaa")
    assert clipped.endswith("bbbb")
    assert clipped.count("a") > clipped.count("b") > 20
    assert len(clipped) == 200


def test_the_text_comes_first_then_the_files_under_their_names():
    assert render("  You help. ", {"AGENTS.md": " Be kind.\n", "USER.md": "A cook."}, CAPS) == (
        "You help.\n\n# AGENTS.md\n\nBe kind.\n\n# USER.md\n\nA cook."
    )


@pytest.mark.parametrize(("text", "files"), [(None, {}), ("", {}), (" \n", {"A.md": "  "}), (None, {"A.md": ""})])
def test_without_text_and_files_the_prompt_is_empty(text, files):
    assert render(text, files, CAPS) == ""


def test_files_share_the_total_cap_in_their_order():
    rendered = render(None, {"A.md": "a" * 90, "B.md": "b" * 90, "C.md": "c" * 90}, Caps(file=100, total=200))
    assert "a" * 90 in rendered
    assert "b" * 90 in rendered
    assert "C.md is cut here: 90 characters, 20 allowed" in rendered


def test_files_beyond_the_total_cap_are_marked_as_cut():
    rendered = render(None, {"A.md": "a" * 9, "B.md": "b", "C.md": "c", "D.md": ""}, Caps(file=100, total=9))
    assert "B.md is cut here: 1 characters, 0 allowed" in rendered
    assert "C.md is cut here: 1 characters, 0 allowed" in rendered
    assert "D.md" not in rendered


async def test_the_channel_is_filled_in_for_each_request():
    prompt = Prompt("By {{channel}}.", None, CAPS, Clock())
    assert await prompt.text("webchat") == "By webchat."
    assert await prompt.text("phone") == "By phone."


async def test_the_workspace_files_are_read_in_openclaws_order(tmp_path):
    for name in reversed(FILES):
        write(tmp_path, name, name.lower())
    write(tmp_path, "OTHER.md", "not read")
    text = await Prompt(None, tmp_path, Caps(100, 1000), Clock()).text("webchat")
    assert text == "\n\n".join(f"# {name}\n\n{name.lower()}" for name in FILES)


async def test_a_missing_workspace_is_an_empty_one(tmp_path):
    assert await Prompt("You help.", tmp_path / "nowhere", CAPS, Clock()).text("webchat") == "You help."


async def test_bytes_that_are_not_text_do_not_stop_an_agent(tmp_path):
    (tmp_path / "SOUL.md").write_bytes(b"a\xffb")
    assert await Prompt(None, tmp_path, CAPS, Clock()).text("webchat") == "# SOUL.md\n\na\N{REPLACEMENT CHARACTER}b"


async def test_a_change_is_noticed_after_a_second_and_not_checked_earlier(tmp_path):
    clock = Clock()
    prompt = Prompt(None, tmp_path, CAPS, clock)
    write(tmp_path, "SOUL.md", "first")
    assert await prompt.text("webchat") == "# SOUL.md\n\nfirst"
    write(tmp_path, "SOUL.md", "second")
    clock.now += 0.9
    assert await prompt.text("webchat") == "# SOUL.md\n\nfirst"
    clock.now += 0.2
    assert await prompt.text("webchat") == "# SOUL.md\n\nsecond"
    (tmp_path / "SOUL.md").unlink()
    clock.now += 1.1
    assert await prompt.text("webchat") == ""


async def test_a_file_that_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    clock = Clock()
    prompt = Prompt(None, tmp_path, CAPS, clock)
    write(tmp_path, "SOUL.md", "abc")
    assert await prompt.text("webchat") == "# SOUL.md\n\nabc"
    monkeypatch.setattr(Path, "read_text", None)
    clock.now += 5
    assert await prompt.text("webchat") == "# SOUL.md\n\nabc"


@pytest.mark.parametrize("change", ["another mode", "an older file of the same size"])
async def test_a_change_that_leaves_the_size_and_the_time_of_the_content_is_noticed(tmp_path, monkeypatch, change):
    clock = Clock()
    prompt = Prompt(None, tmp_path, CAPS, clock)
    file = tmp_path / "SOUL.md"
    file.write_text("old", encoding="utf-8")
    if change == "another mode":
        with monkeypatch.context() as patched:  # the tests may run as root, whom no mode stops
            patched.setattr(Path, "read_text", refuse)
            assert await prompt.text("webchat") == ""
        file.chmod(0o600)
    else:
        assert await prompt.text("webchat") == "# SOUL.md\n\nold"
        before = file.stat()
        write(tmp_path, "new", "new")
        os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        (tmp_path / "new").replace(file)
    clock.now += 5
    assert await prompt.text("webchat") == f"# SOUL.md\n\n{file.read_text(encoding='utf-8')}"


def refuse(*_args, **_options):
    raise PermissionError(errno.EACCES, "Permission denied")


async def test_concurrent_requests_share_one_check_of_the_files(tmp_path):
    clock = Clock()
    prompt = Prompt(None, tmp_path, CAPS, clock)
    write(tmp_path, "SOUL.md", "all")
    assert set(await asyncio.gather(*(prompt.text("webchat") for _ in range(20)))) == {"# SOUL.md\n\nall"}


async def test_a_request_that_is_cancelled_while_the_files_are_read_hides_no_change(tmp_path):
    has_read, goes_on = threading.Event(), threading.Event()

    class Slow(Prompt):
        def _read(self):
            result = super()._read()
            has_read.set()
            goes_on.wait(10)
            return result

    write(tmp_path, "SOUL.md", "all")
    prompt = Slow(None, tmp_path, CAPS, Clock())
    request = asyncio.create_task(prompt.text("webchat"))
    await asyncio.to_thread(has_read.wait, 10)
    request.cancel()
    await asyncio.wait({request})
    goes_on.set()
    assert await prompt.text("webchat") == "# SOUL.md\n\nall"


async def test_a_file_that_cannot_be_read_does_not_stop_an_agent(tmp_path):
    write(tmp_path, "AGENTS.md", "text")
    (tmp_path / "SOUL.md").mkdir()
    assert await Prompt(None, tmp_path, CAPS, Clock()).text("webchat") == "# AGENTS.md\n\ntext"
