"""What a model wants back with its calls."""

import pytest
from msgspec.structs import replace

from gateway.core.event import Finish, ThinkingDelta, ThinkingEnd, ToolCallBegin, ToolCallDelta
from gateway.core.message import Message, Owner, Text, Thinking, ToolCall, ToolResult
from gateway.core.names import ModelRef
from gateway.core.turn import Turn
from gateway.runs.reasoning import CallReasoning
from gateway.runs.run import Run
from gateway.state.reasoning.memory import MemoryReasoning

HELLO = Message("user", (Text("hi"),))
THOUGHT = Thinking("hm", "signature", owner=Owner("lines", "home", "big"))
CALLS = (ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "f", "{}"))
RESULTS = tuple(Message("tool", (ToolResult(call.id, (Text("ok"),)),)) for call in CALLS)
EVENTS = [
    ThinkingDelta("hm"),
    ThinkingEnd(THOUGHT),
    *(ToolCallBegin(index, call.id, call.name) for index, call in enumerate(CALLS)),
    ToolCallDelta(0, CALLS[0].arguments),
    ToolCallDelta(1, CALLS[1].arguments),
    Finish("tool_calls"),
]


@pytest.fixture
def reasoning(clock):
    return CallReasoning(MemoryReasoning(clock=clock))


def round_of(*parts):
    return Turn("openclaw", (HELLO, Message("assistant", parts), *RESULTS))


@pytest.mark.parametrize("cut", range(len(EVENTS)))
async def test_it_is_stored_however_the_answer_came_in_pieces(agent, run_context, scripted, reasoning, cut):
    answer = [piece for piece in (EVENTS[:cut], EVENTS[cut:]) if piece]
    shared = run_context(scripted(big=[answer]), reasoning=reasoning)
    turn = Turn("openclaw", (HELLO,), stream=True)
    run = Run(agent(), turn, (ModelRef("home", "big"),), shared, shared.new_trace("main", "ann"))
    assert [event async for batch in run.events() for event in batch] == EVENTS
    assert await reasoning.restored("ann", round_of(*CALLS)) == round_of(THOUGHT, *CALLS)


@pytest.mark.parametrize(
    "held",
    [(), (Thinking("hm"),), (THOUGHT,), (replace(THOUGHT, kind="summary"),)],
    ids=["nothing", "its text", "all of it", "another view of it"],
)
async def test_what_a_client_has_held_is_not_sent_twice(reasoning, held):
    await reasoning.remember("ann", [THOUGHT, *CALLS])
    restored = await reasoning.restored("ann", round_of(*held, *CALLS))
    assert restored == round_of(THOUGHT, *CALLS)


async def test_nobody_else_gets_it(reasoning):
    await reasoning.remember("ann", [THOUGHT, *CALLS])
    assert await reasoning.restored("bob", round_of(*CALLS)) == round_of(*CALLS)


LATER = Thinking("so", "another", owner=THOUGHT.owner)
BETWEEN = Thinking("", "third", owner=THOUGHT.owner)
INTERLEAVED = (THOUGHT, Text("First, "), LATER, Text("this."), CALLS[0], BETWEEN, CALLS[1])


@pytest.mark.parametrize(
    ("returned", "restored"),
    [
        ((Text("First, this."), *CALLS), INTERLEAVED),
        ((Thinking("hmso"), Text("First, this."), *CALLS), INTERLEAVED),
        (INTERLEAVED, INTERLEAVED),
        (CALLS, (THOUGHT, LATER, CALLS[0], BETWEEN, CALLS[1])),
        (CALLS[1:], (THOUGHT, LATER, BETWEEN, CALLS[1])),
        (CALLS[:1], (THOUGHT, LATER, CALLS[0])),
        ((Text("First"), CALLS[0]), (THOUGHT, Text("First"), LATER, CALLS[0])),
    ],
    ids=["text and calls", "text of it", "all of it", "calls", "last call", "first call", "less text"],
)
async def test_reasoning_between_text_and_calls_returns_to_its_place(reasoning, returned, restored):
    await reasoning.remember("ann", INTERLEAVED)
    assert await reasoning.restored("ann", round_of(*returned)) == round_of(*restored)


async def test_reasoning_of_an_answer_that_a_client_sends_in_several_messages_is_not_sent_twice(reasoning):
    await reasoning.remember("ann", INTERLEAVED)
    messages = [Message("assistant", parts) for parts in (INTERLEAVED[:2], INTERLEAVED[2:5], INTERLEAVED[5:])]
    turn = Turn("openclaw", (HELLO, *messages, *RESULTS))
    assert await reasoning.restored("ann", turn) == turn


@pytest.mark.parametrize("held", [(), (Thinking("hm"),)], ids=["dropped by the client", "returned by the client"])
async def test_reasoning_returns_to_its_own_answer_and_not_to_the_one_before_it(reasoning, held):
    """Clients put their summary of a compacted conversation before the last answer."""
    summary = Message("assistant", (*held, Text("The summary of a long conversation.")))
    words = Text("And further.")
    await reasoning.remember("ann", [THOUGHT, replace(words, raw="And further. \n"), *CALLS])

    def turn(*parts):
        return Turn("openclaw", (HELLO, summary, Message("assistant", parts), *RESULTS))

    assert await reasoning.restored("ann", turn(*held, words, *CALLS)) == turn(THOUGHT, words, *CALLS)


async def test_reasoning_goes_before_the_text_that_a_client_sends_in_a_message_of_its_own(reasoning):
    await reasoning.remember("ann", [THOUGHT, Text("I look it up."), *CALLS])
    messages = (Message("assistant", (Text("I look it up."),)), Message("assistant", CALLS))
    restored = await reasoning.restored("ann", Turn("openclaw", (HELLO, *messages, *RESULTS)))
    assert restored.messages[1] == Message("assistant", (THOUGHT, Text("I look it up.")))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"thinking": 5}',
        b'{"thinking": ["x"]}',
        b'{"thinking": [{"type": "thinking"}]}',
        b'{"thinking": [], "at": [[1]], "extras": 3}',
        b'{"thinking": [], "text": "x", "extras": null}',
    ],
)
async def test_a_damaged_entry_fails_no_request(clock, entry):
    store = MemoryReasoning(clock=clock)
    reasoning = CallReasoning(store)
    await reasoning.remember("ann", [THOUGHT, *CALLS])
    await store.put("ann", dict.fromkeys(store._entries, entry))
    assert await reasoning.restored("ann", round_of(*CALLS)) == round_of(*CALLS)
