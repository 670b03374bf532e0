"""A stream whose last byte was sent is complete: what cancels its handler after that changes nothing about it."""

import asyncio
import itertools
import json

import pytest

from gateway.http import chain
from gateway.http.answers.event_stream import EventStream
from gateway.http.endpoints.metrics import SCRAPE
from gateway.http.keys import DRAIN
from tests.unit.http.conftest import TOKEN

END = b"0\r\n\r\n"
STREAMS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "q"}]},
    "/v1/responses": {"input": "q"},
    "/v1/messages": {"messages": [{"role": "user", "content": "q"}], "max_tokens": 9},
}


@pytest.fixture
def config(config):
    config["gateway"]["stream"]["openingHeartbeatMs"] = 1
    return config


@pytest.fixture
def cancelled_at_the_end(monkeypatch):
    """The handler is cancelled as soon as its last byte was written, as aiohttp does if the client closes then."""
    write_eof = EventStream.write_eof

    async def write(self, frames=b""):
        await write_eof(self, frames)
        asyncio.current_task().cancel()

    monkeypatch.setattr(EventStream, "write_eof", write)


@pytest.fixture
def outcomes(monkeypatch):
    """The status and outcome of each request that ended."""
    known, outcome = [], chain.RequestObservers.ended

    def ended(self, request, trace, response):
        known.append((None if response is None else response.status, trace.run.outcome))
        outcome(self, request, trace, response)

    monkeypatch.setattr(chain.RequestObservers, "ended", ended)
    return known


async def whole_stream(client, provider, path):
    """A stream that a heartbeat opened, to its end, and what the connection has after that."""
    provider.says("Hello")
    released, answer = asyncio.Event(), provider.answer

    async def wait(request):
        await released.wait()
        return await answer(request)

    provider.answer = wait
    body = json.dumps({"model": "openclaw", "stream": True, **STREAMS[path]})
    fields = ("Host: x", f"Authorization: Bearer {TOKEN}", f"Content-Length: {len(body)}", "Connection: close")
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write("\r\n".join((f"POST {path} HTTP/1.1", *fields, "", body)).encode())
    await reader.readuntil(b"\n\n")  # the heartbeat
    released.set()
    stream = await reader.readuntil(END)
    more = await reader.read()
    writer.close()
    return stream, more


@pytest.mark.parametrize("case", list(itertools.product(STREAMS, (False, True))), ids=str)
@pytest.mark.usefixtures("cancelled_at_the_end")
async def test_a_stream_that_was_sent_to_its_end_is_a_complete_answer(client, provider, case, outcomes, capsys):
    path, client.app[DRAIN].forced = case
    stream, more = await whole_stream(client, provider, path)
    assert b"Hello" in stream
    assert not more
    assert outcomes == [(200, "answered")]
    await client.app[SCRAPE]()
    output = capsys.readouterr()
    assert "failed" not in output.out + output.err
