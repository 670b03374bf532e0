"""An agent's system prompt: the configured text, then the workspace files, within size caps.

The files are those that OpenClaw reads into every session. They are read in a thread, and again after one of them has
changed, which is checked at most once a second: editing `AGENTS.md` needs no restart.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FILES = ("AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md")
_CHECK_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits in characters: of one workspace file, and of all together."""

    file: int
    total: int


def clip(text: str, limit: int, name: str) -> str:
    """At most `limit` characters: the beginning and the end, with a note on the cut between them."""
    if len(text) <= limit:
        return text
    note = f"\n[… {name} is cut here: {len(text)} characters, {limit} allowed …]\n"
    room = max(0, limit - len(note))
    head = room * 3 // 4
    return text[:head] + note + text[len(text) - (room - head) :]


def render(text: str | None, files: dict[str, str], caps: Caps) -> str:
    """The system text; empty without a text and files."""
    sections = [text.strip()] if text and text.strip() else []
    remaining = caps.total
    for name, content in files.items():
        clipped = clip(content.strip(), min(caps.file, remaining), name)
        if clipped:
            remaining = max(0, remaining - len(clipped))
            sections.append(f"# {name}\n\n{clipped}")
    return "\n\n".join(sections)


class Prompt:
    """The prompt of one agent. `{{channel}}` in the configured text is replaced by the request's channel."""

    def __init__(self, text: str | None, workspace: Path | None, caps: Caps, clock: Callable[[], float]) -> None:
        self._text = text
        self._workspace = workspace
        self._caps = caps
        self._clock = clock
        self._stamp: tuple[object, ...] | None = None
        self._rendered = render(text, {}, caps)
        self._checked: float | None = None
        self._reading = asyncio.Lock()

    async def text(self, channel: str) -> str:
        """The system text for a request of this channel; empty if there is none."""
        if self._workspace is not None:
            now = self._clock()
            if self._checked is None or now - self._checked >= _CHECK_EVERY:
                await self._refresh(now)
        rendered = self._rendered
        return rendered.replace("{{channel}}", channel) if "{{" in rendered else rendered

    async def _refresh(self, now: float) -> None:
        async with self._reading:
            if self._checked is not None and now - self._checked < _CHECK_EVERY:
                return  # another request read them while this one waited
            # Only here: a request that is cancelled meanwhile must not hide a change from the next one.
            self._stamp, self._rendered = await asyncio.to_thread(self._read)
            self._checked = now

    def _read(self) -> tuple[tuple[object, ...], str]:
        paths = [self._workspace / name for name in FILES] if self._workspace else []
        stamp = tuple(_stamp(path) for path in paths)
        if stamp == self._stamp:
            return stamp, self._rendered
        files = {}
        for path, status in zip(paths, stamp, strict=True):
            if status is None:
                continue
            try:
                files[path.name] = path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                log.warning(
                    "A workspace file can't be read and is left out of the prompt",
                    path=str(path),
                    reason=error.strerror,
                )
        return stamp, render(self._text, files, self._caps)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes with a file: with another mode, which may make it readable, only the inode's time. None: no file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
