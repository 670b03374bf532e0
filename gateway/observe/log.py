"""Logging: one line per event on standard error, as JSON or as coloured text on a terminal.

`configure` is called once at start. The standard library's loggers (aiohttp, asyncio, warnings) use the same output. An
event is a fixed short sentence in sentence case, without a full stop. Keys are snake_case nouns and hold all that
varies.
"""

import asyncio
import atexit
import logging
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from gateway.core.printable import printable
from gateway.observe.context import with_request_id
from gateway.observe.redact import redact, without_values

_WITH_LINES = frozenset({"exception", "stack"})
_RAW_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_LINES_TOGETHER = 0.05  # seconds that a line of `write_info` may wait
_MAX_LINES = 500  # that wait

_ENCODER = msgspec.json.Encoder(enc_hook=str)

_LEVELS = {
    "silent": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


_threshold = logging.NOTSET
_lines: "_Lines | None" = None


def shows_debug() -> bool:
    """Whether debug lines are logged. Asking a logger costs as much as reading a small answer's usage."""
    return _threshold <= logging.DEBUG


def shows_info() -> bool:
    """Whether lines at info are logged; False before `configure`."""
    return logging.NOTSET < _threshold <= logging.INFO


def write_info(event: str, fields: dict[str, Any], at: float) -> None:
    """Log a line at info of an event at this Unix time (seconds).

    Its fields are numbers, names of the configuration and ids, so that nothing in it can look like a credential by
    chance. It has the form of every other line; only the configured secrets are searched for.

    As JSON, the lines of a twentieth of a second are written together, which costs a tenth of the general way: that
    matters for a line per request.
    """
    if _lines is None:
        structlog.get_logger(__name__).info(event, **fields)
    else:
        fields |= {"event": event, "level": "info", "timestamp": datetime.fromtimestamp(at, UTC)}
        _lines.add(fields)


class _Lines:
    """The output of a process that writes JSON lines: those of `add` together, before any other line.

    A process that is killed loses the last ones. `flush` writes them; without an event loop nothing waits.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._waiting: list[dict[str, Any]] = []
        self._is_due = False

    def add(self, line: dict[str, Any]) -> None:
        """Write this line soon."""
        self._waiting.append(line)
        if self._is_due and len(self._waiting) < _MAX_LINES:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._waiting) >= _MAX_LINES:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            loop.call_later(_LINES_TOGETHER, self._write_due)

    def _write_due(self) -> None:
        self._is_due = False
        self.flush()

    def write(self, text: str) -> None:
        """Write another line, after those that wait."""
        if self._waiting:
            self._write_waiting()
        self._out.write(text)

    def flush(self) -> None:
        """See TextIO."""
        if self._waiting:
            self._write_waiting()
        self._out.flush()

    def _write_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        self._out.write(without_values(_plain(_ENCODER.encode_lines(lines).decode())))


def configure(
    *, stream_is_tty: bool, level: str = "info", style: str | None = None, stream: TextIO | None = None
) -> None:
    """Set up logging for the whole process.

    `level` is one of OpenClaw's: silent, fatal, error, warn, info, debug, trace. `style` is `json`, `pretty` or
    `compact`; None selects pretty on a terminal and JSON elsewhere. `stream` defaults to standard error.
    """
    global _threshold, _lines  # noqa: PLW0603  # the level and output of a process, set once at its start
    out: Any = stream or sys.stderr
    _flush_lines()
    _threshold = threshold = _LEVELS[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        with_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    style = style or ("pretty" if stream_is_tty else "json")
    renderer = _renderer(style, colors=stream_is_tty)
    _lines = None
    if style == "json":
        out = _lines = _Lines(out)
    if style != "json":
        shared.append(_escape_controls)
    structlog.configure(
        processors=[_drop] if level == "silent" else [*shared, renderer],
        # Methods below the threshold return at once, so a disabled line costs nothing.
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    _route_standard_library(out, threshold, shared, renderer, silent=level == "silent")


@atexit.register
def _flush_lines() -> None:
    if _lines is not None:
        _lines.flush()


def _route_standard_library(
    out: Any, threshold: int, shared: Sequence[Processor], renderer: Processor, *, silent: bool
) -> None:
    handler = logging.NullHandler() if silent else logging.StreamHandler(out)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Debug lines of other libraries may print request content.
    root.setLevel(max(threshold, logging.INFO))
    logging.captureWarnings(capture=True)


def _renderer(style: str, *, colors: bool) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    width = 0 if style == "compact" else 30
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=width, exception_formatter=plain)


def _escape_controls(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Structlog processor for text styles: no value controls the terminal or begins a line. Tracebacks have lines."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = printable(value, lines=key in _WITH_LINES)
        elif not isinstance(value, int | float | None):
            event[key] = printable(str(value))
    return event


def _json(event: EventDict, **_options: Any) -> str:
    return _plain(_ENCODER.encode(event).decode())


def _plain(line: str) -> str:
    """JSON text without the characters that it allows raw, but that a terminal may obey."""
    return line if line.isascii() and "\x7f" not in line else _RAW_IN_JSON.sub(_escaped, line)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _drop(_logger: WrappedLogger, _method: str, _event: EventDict) -> EventDict:
    raise structlog.DropEvent
