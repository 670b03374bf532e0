import asyncio
import io
import json
import logging
from datetime import UTC, datetime

import pytest
import structlog

from gateway.http.endpoints.metrics import SCRAPE
from gateway.observe import log
from gateway.observe.log import configure
from gateway.observe.redact import hide_values
from tests.unit.http.conftest import TOKEN

CHAT = "/v1/chat/completions"
ASK = {"model": "openclaw", "messages": [{"role": "user", "content": "a secret plan"}]}


@pytest.fixture
def style() -> str:
    return "json"


@pytest.fixture
def level() -> str:
    return "info"


@pytest.fixture
def out(style: str, level: str):
    """The log, configured before the application is made."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_uncached(style, level, stream)
    yield stream
    hide_values([])
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(before)
    structlog.reset_defaults()
    configure_nothing()


def configure_uncached(style: str, level: str, stream: io.StringIO) -> None:
    """Configure the log, but let no module keep its logger: later tests of this process have another configuration."""
    configure(stream_is_tty=False, style=style, level=level, stream=stream)
    structlog.configure(cache_logger_on_first_use=False)


def configure_nothing() -> None:
    log._threshold, log._lines = logging.NOTSET, None


@pytest.fixture
async def logged(out, client):
    return client


async def lines(client, out: io.StringIO) -> list[dict]:
    await client.app[SCRAPE]()  # calls the observers of all requests that have ended
    log._flush_lines()
    every = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in every if line["event"] == "Request ended"]


async def test_an_answer_has_one_line_with_all_that_operators_ask_for(logged, provider, out):
    provider.says("Hello")
    async with logged.post(CHAT, json=ASK, headers={"x-request-id": "my-id.7"}) as response:
        assert response.status == 200
    (line,) = await lines(logged, out)
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("ms") > 0
    assert line == {
        "event": "Request ended",
        "level": "info",
        "request_id": "my-id.7",
        "method": "POST",
        "route": CHAT,
        "status": 200,
        "outcome": "completed",
        "client": "127.0.0.1",
        "agent": "main",
        "model": "fake/small",
        "attempts": 1,
        "tokens": 18,
    }
    assert "secret plan" not in out.getvalue()


async def test_a_failure_and_a_client_that_leaves_have_their_line_too(logged, provider, out):
    provider.refuses(503, "no")
    async with logged.post(CHAT, json=ASK) as response:
        assert response.status == 503
    asked, left = provider.hangs()
    request = asyncio.create_task(logged.post(CHAT, json=ASK))
    await asked.wait()
    request.cancel()
    await left.wait()
    await asyncio.gather(request, return_exceptions=True)
    async with logged.get("/nowhere") as response:
        assert response.status == 404
    assert [(line["status"], line["outcome"], line["route"]) for line in await lines(logged, out)] == [
        (503, "failed", CHAT),
        (499, "cancelled", CHAT),
        (404, "refused", "other"),
    ]


async def test_probes_are_not_logged(logged, out):
    for path in ("/healthz", "/readyz", "/startupz"):
        async with logged.get(path) as response:
            assert response.status == 200
    assert await lines(logged, out) == []


async def test_a_configured_secret_is_cut_out_wherever_a_client_writes_it(logged, out):
    async with logged.get("/v1/models", headers={"x-request-id": TOKEN}) as response:
        assert response.status == 200
    async with logged.get(f"/v1/models/{TOKEN}?key={TOKEN}") as response:
        assert response.status == 400
    assert (await lines(logged, out))[0]["request_id"] == "[redacted]"
    assert TOKEN not in out.getvalue()


class TestText:
    @pytest.fixture
    def style(self) -> str:
        return "compact"

    async def test_a_text_line_has_the_same_fields(self, logged, provider, out):
        provider.says("Hello")
        async with logged.post(CHAT, json=ASK) as response:
            assert response.status == 200
        await logged.app[SCRAPE]()
        (line,) = (line for line in out.getvalue().splitlines() if "Request ended" in line)
        for part in ("status=200", f"route={CHAT}", "model=fake/small", "attempts=1", "tokens=18", "client=127.0.0.1"):
            assert part in line
        assert line.isprintable()


class TestDebug:
    @pytest.fixture
    def level(self) -> str:
        return "debug"

    async def test_probes_are_logged_at_debug(self, logged, out):
        async with logged.get("/healthz") as response:
            assert response.status == 200
        assert [line["route"] for line in await lines(logged, out)] == ["/health"]


class TestWarnings:
    @pytest.fixture
    def level(self) -> str:
        return "warn"

    async def test_nothing_is_written_above_info(self, logged, out):
        async with logged.get("/v1/models") as response:
            assert response.status == 200
        assert await lines(logged, out) == []


async def test_a_level_that_changes_while_it_serves_takes_effect(logged, out):
    for level, count in (("warn", 0), ("info", 1), ("error", 1), ("debug", 2)):
        configure_uncached("json", level, out)
        async with logged.get("/v1/models") as response:
            assert response.status == 200
        assert len(await lines(logged, out)) == count


class TestOff:
    @pytest.fixture
    def config(self, config):
        return config | {"logging": {"requests": False}}

    async def test_it_can_be_switched_off(self, logged, out):
        async with logged.get("/v1/models") as response:
            assert response.status == 200
        assert await lines(logged, out) == []


async def test_a_line_is_written_soon_and_has_the_time_of_the_end(logged, out):
    before = datetime.now(UTC)
    async with logged.get("/v1/models") as response:
        assert response.status == 200
    after = datetime.now(UTC)
    async with asyncio.timeout(30):
        while "Request ended" not in out.getvalue():
            await asyncio.sleep(0.01)
    (line,) = await lines(logged, out)
    assert before <= datetime.fromisoformat(line["timestamp"]) <= after
