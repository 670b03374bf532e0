import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from gateway.observe.log import configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object(out):
    configure(stream_is_tty=False, stream=out)
    structlog.get_logger().info("request", status=200, path="/v1/models", odd=object)
    (line,) = lines(out)
    assert (line["event"], line["level"], line["status"], line["path"]) == ("request", "info", 200, "/v1/models")
    assert str(line["timestamp"]).endswith("Z")


def test_a_terminal_gets_coloured_text(out):
    configure(stream_is_tty=True, stream=out)
    structlog.get_logger().info("request", status=200)
    assert "\x1b[" in out.getvalue()
    assert "request" in out.getvalue()


@pytest.mark.parametrize(("style", "tty"), [("json", True), ("pretty", False), ("compact", False)])
def test_a_style_beats_the_terminal(out, style: str, tty: bool):
    configure(stream_is_tty=tty, style=style, stream=out)
    structlog.get_logger().info("request", status=200)
    assert out.getvalue().startswith("{") == (style == "json")
    assert ("request  " in out.getvalue()) == (style == "pretty")


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("trace", ["debug", "info", "warning", "error", "critical"]),
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("warn", ["warning", "error", "critical"]),
        ("error", ["error", "critical"]),
        ("fatal", ["critical"]),
        ("silent", []),
    ],
)
def test_a_level_hides_what_is_below_it(out, level: str, seen: list[str]):
    configure(stream_is_tty=False, level=level, stream=out)
    log = structlog.get_logger()
    for method in ("debug", "info", "warning", "error", "critical"):
        getattr(log, method)(method)
    assert [line["event"] for line in lines(out)] == seen


def test_the_standard_librarys_loggers_come_out_the_same_way(out):
    configure(stream_is_tty=False, stream=out)
    logging.getLogger("aiohttp.server").warning("slow %s", "client")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == ("slow client", "warning", "aiohttp.server")


def test_silence_covers_the_standard_library_too(out):
    configure(stream_is_tty=False, level="silent", stream=out)
    logging.getLogger("asyncio").critical("gone")
    assert out.getvalue() == ""


def test_debugging_does_not_open_other_peoples_debug_lines(out):
    configure(stream_is_tty=False, level="debug", stream=out)
    logging.getLogger("aiohttp.client").debug("body: everything")
    assert out.getvalue() == ""


def test_context_reaches_every_line_of_its_task(out):
    configure(stream_is_tty=False, stream=out)

    async def one(name: str) -> None:
        with structlog.contextvars.bound_contextvars(request_id=name):
            await asyncio.sleep(0)
            structlog.get_logger().info("inside")
            logging.getLogger("other").info("inside too")

    async def both() -> None:
        await asyncio.gather(one("a"), one("b"))

    asyncio.run(both())
    assert sorted((line["event"], line["request_id"]) for line in lines(out)) == [
        ("inside", "a"),
        ("inside", "b"),
        ("inside too", "a"),
        ("inside too", "b"),
    ]


def test_an_exception_is_logged_with_its_secrets_redacted(out):
    configure(stream_is_tty=False, stream=out)
    try:
        int("token: sk-abcdefgh")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("failed too")
    assert len(lines(out)) == 2
    for line in lines(out):
        assert "ValueError" in str(line["exception"])
    assert "sk-abcdefgh" not in out.getvalue()


def test_secrets_are_hidden_in_lines_of_either_kind(out):
    configure(stream_is_tty=False, stream=out)
    structlog.get_logger().info("call", authorization="Bearer abc", note="uses Bearer abcdefgh")
    logging.getLogger("aiohttp").warning("Bearer abcdefgh")
    first, second = lines(out)
    assert (first["authorization"], first["note"]) == ("[redacted]", "uses Bearer [redacted]")
    assert second["event"] == "Bearer [redacted]"


def test_warnings_become_lines(out):
    configure(stream_is_tty=False, stream=out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    assert "old way" in str(lines(out)[0]["event"])


def test_configuring_again_replaces_the_first_setting(out):
    configure(stream_is_tty=False, stream=io.StringIO())
    configure(stream_is_tty=False, stream=out)
    logging.getLogger("x").warning("once")
    assert len(lines(out)) == 1


EVIL = "/v1/models/\x1b]0;PWNED\x07\x1b[2J\n2026-01-01 [error] forged\x9b31m\u202e"


def fail(text):
    raise ValueError(text)


def raised(text):
    try:
        fail(text)
    except ValueError as error:
        return error


def log_evil():
    structlog.get_logger().warning("Caller refused", path=EVIL, names=[EVIL], fields={"a": EVIL})
    logging.getLogger("aiohttp").warning("odd %s", EVIL)
    structlog.get_logger().error("Request failed", exc_info=raised(EVIL))


@pytest.mark.parametrize("style", ["pretty", "compact", "json"])
def test_no_text_from_outside_controls_the_terminal(out, style: str):
    configure(stream_is_tty=False, style=style, stream=out)
    log_evil()
    text = out.getvalue()
    assert not set(text) & set("\x1b\x07\x9b\u202e\r")
    assert text.count("PWNED") >= 5, text


@pytest.mark.parametrize("style", ["pretty", "compact"])
def test_no_text_from_outside_begins_a_line_of_a_text_log(out, style: str):
    configure(stream_is_tty=False, style=style, stream=out)
    structlog.get_logger().warning("Caller refused", path=EVIL)
    logging.getLogger("aiohttp").warning("odd %s", EVIL)
    assert len(out.getvalue().splitlines()) == 2


def test_a_traceback_has_its_lines(out):
    configure(stream_is_tty=False, style="pretty", stream=out)
    structlog.get_logger().error("Request failed", exc_info=raised("oops"))
    assert "\nValueError: oops" in out.getvalue()
