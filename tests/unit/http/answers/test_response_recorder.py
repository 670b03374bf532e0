"""The stored messages of a response whose agent ran tools itself."""

import pytest

from gateway.core.event import Finish, TextDelta, ToolWork
from gateway.core.message import Message, Text, ToolCall, ToolResult
from gateway.http.answers.response_recorder import ResponseRecorder, Storage
from gateway.state.responses.store import StoredResponse
from gateway.wire.openai_responses.response_object import Head
from gateway.wire.openai_responses.stream import Renderer

ASKED = Message("user", (Text("Weather?"),))
WORK = (
    Message("assistant", (ToolCall("c1", "s__run", "{}"),), hidden=True),
    Message("tool", (ToolResult("c1", (Text("5C"),)),), hidden=True),
)


class Worked:
    trace = None

    async def events(self):
        yield [TextDelta("Cold."), ToolWork(WORK), Finish("stop")]


class Store:
    stored = None

    async def put(self, response, *, new=True):
        assert new
        self.stored = response
        return True


@pytest.mark.parametrize("stream", [True, False])
async def test_tool_work_is_stored_before_the_answer(stream):
    store, head = Store(), Head("resp_1", 1_700_000_000, "openclaw", {"store": True})
    renderer = Renderer(head, now=lambda: 1_700_000_009)
    record = StoredResponse("resp_1", None, "main", 1.0, b"", b"[]", (ASKED,))
    run = ResponseRecorder(Worked(), Storage(store, record), head, renderer, streamed=stream)
    async for batch in run.events():
        if stream:
            renderer.feed(batch)
    assert store.stored.messages == (ASKED, *WORK, Message("assistant", (Text("Cold."),)))
    assert [message.hidden for message in store.stored.messages] == [False, True, True, False]
