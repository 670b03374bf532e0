import pytest

from gateway.agents.candidates import Trail, ask
from gateway.core.errors import BadRequest, NotFound, UpstreamError, UpstreamKind
from gateway.core.event import Finish, TextDelta
from gateway.core.message import Image, Message, Text
from gateway.core.names import ModelRef
from gateway.core.turn import ToolChoice, ToolSpec, Turn
from gateway.upstream.provider import Provider
from gateway.wire.compat import Compat, ModelSpec

A, B, C = (ModelRef("p", name) for name in "abc")
HI = [TextDelta("hi")]
END = [Finish("stop")]
OVERLOADED = UpstreamError(UpstreamKind.OVERLOADED, "busy")
TIMEOUT = UpstreamError(UpstreamKind.TIMEOUT, "slow")
FINAL = UpstreamError(UpstreamKind.INVALID_REQUEST, "wrong")
OVERFLOW = UpstreamError(UpstreamKind.CONTEXT_OVERFLOW, "long")
FILTERED = UpstreamError(UpstreamKind.CONTENT_FILTER, "no")
TOOL = (ToolSpec("f"),)
TEXT = (Text("hi"),)
PICTURE = Image("data:image/png;base64,AA==")


class FakeCaller:
    """Answers for each model with batches; an exception among them is raised in its place."""

    def __init__(self, **script):
        self.script = script
        self.asked = []
        self.closed = []

    async def whole(self, _provider, model, _turn):
        self.asked.append(model.id)
        (answer,) = self.script[model.id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, _provider, model, _turn):
        self.asked.append(model.id)
        try:
            for batch in self.script[model.id]:
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            self.closed.append(model.id)


def providers(**models):
    """One provider `p`; a model is named with its own row, the others get a plain one."""
    return {"p": Provider("p", "http://p/v1", models=models)}


def turn(*, stream=True, parts=TEXT, **fields):
    return Turn("openclaw", (Message("user", parts),), stream=stream, **fields)


async def answer(caller, asked, chain=(A, B, C), known=None):
    trail = Trail()
    first, rest = await ask(asked, chain, known or providers(), caller, trail)
    return trail, [first, *([batch async for batch in rest] if rest is not None else [])]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_first_candidate_answers_when_it_can(stream):
    caller = FakeCaller(a=[HI])
    trail, batches = await answer(caller, turn(stream=stream))
    assert (batches, caller.asked) == ([HI], ["a"])
    assert trail.attempts == [(A, None)]
    assert trail.answered == A


async def test_a_whole_answer_has_no_rest():
    _, rest = await ask(turn(stream=False), (A,), providers(), FakeCaller(a=[HI]), Trail())
    assert rest is None


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [OVERLOADED, TIMEOUT, OVERFLOW])
async def test_a_failure_before_the_first_event_gives_way_to_the_next(stream, failure):
    caller = FakeCaller(a=[failure], b=[HI])
    trail, batches = await answer(caller, turn(stream=stream))
    assert (batches, caller.asked) == ([HI], ["a", "b"])
    assert trail.attempts == [(A, failure), (B, None)]
    assert trail.answered == B


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [FINAL, FILTERED])
async def test_a_fault_of_the_request_goes_nowhere_else(stream, failure):
    caller = FakeCaller(a=[failure], b=[HI])
    with pytest.raises(UpstreamError) as caught:
        await answer(caller, turn(stream=stream))
    assert caught.value is failure
    assert caller.asked == ["a"]


async def test_when_all_fail_the_last_failure_is_told():
    caller = FakeCaller(a=[OVERLOADED], b=[OVERLOADED], c=[TIMEOUT])
    with pytest.raises(UpstreamError) as caught:
        await answer(caller, turn())
    assert caught.value is TIMEOUT
    assert caller.asked == ["a", "b", "c"]


async def test_after_the_first_event_a_failure_is_the_callers_to_know():
    caller = FakeCaller(a=[HI, OVERLOADED], b=[HI])
    trail = Trail()
    first, rest = await ask(turn(), (A, B), providers(), caller, trail)
    assert first == HI
    with pytest.raises(UpstreamError):
        await anext(rest)
    assert caller.asked == ["a"]


async def test_closing_the_rest_closes_the_call():
    caller = FakeCaller(a=[HI, END])
    _, rest = await ask(turn(), (A,), providers(), caller, Trail())
    await rest.aclose()
    assert caller.closed == ["a"]


async def test_an_unknown_provider_is_skipped_for_one_that_is_there():
    caller = FakeCaller(b=[HI])
    trail, batches = await answer(caller, turn(), (ModelRef("ghost", "x"), B))
    assert batches == [HI]
    assert trail.attempts == [(B, None)]


async def test_an_unknown_provider_alone_is_named():
    with pytest.raises(NotFound, match=r"Unknown model: ghost/x\. .*'ghost'"):
        await answer(FakeCaller(), turn(), (ModelRef("ghost", "x"),))


BLIND = ModelSpec("a", images=False)
HANDLESS = ModelSpec("a", compat=Compat(tools=False))


@pytest.mark.parametrize(
    ("row", "asked", "code"),
    [
        (BLIND, turn(parts=(PICTURE,)), "images_unsupported"),
        (HANDLESS, turn(tools=TOOL), "tools_unsupported"),
        (HANDLESS, turn(tools=TOOL, tool_choice=ToolChoice("required")), "tools_unsupported"),
    ],
)
async def test_a_model_that_cannot_take_the_turn_is_not_asked(row, asked, code):
    caller = FakeCaller(b=[HI])
    trail, _ = await answer(caller, asked, (A, B), providers(a=row))
    assert caller.asked == ["b"]
    assert trail.attempts == [(B, None)]
    with pytest.raises(BadRequest) as caught:
        await answer(FakeCaller(), asked, (A,), providers(a=row))
    assert caught.value.code == code
    assert "p/a" in caught.value.message


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (BLIND, turn()),
        (BLIND, turn(tools=TOOL)),
        (HANDLESS, turn(parts=(PICTURE,))),
        (HANDLESS, turn(tools=TOOL, tool_choice=ToolChoice("none"))),
        (ModelSpec("a"), turn(parts=(PICTURE,), tools=TOOL)),
    ],
)
async def test_a_model_that_can_take_the_turn_is_asked(row, asked):
    caller = FakeCaller(a=[HI])
    await answer(caller, asked, (A, B), providers(a=row))
    assert caller.asked == ["a"]


async def test_a_failure_says_more_than_that_another_candidate_was_unfit():
    caller = FakeCaller(b=[OVERLOADED])
    for chain in ((A, B), (B, A)):
        with pytest.raises(UpstreamError) as caught:
            await answer(caller, turn(parts=(PICTURE,)), chain, providers(a=BLIND))
        assert caught.value is OVERLOADED


async def test_nobody_has_answered_before_anybody_was_asked():
    assert Trail().answered is None
