"""The round trip law: decoding what the gateway rendered for a client returns the same answer."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.accumulator import accumulated
from gateway.core.event import Finish, RefusalDelta, TextDelta, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.usage import Usage
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.answer import parse_answer
from gateway.wire.openai_chat.render import Renderer, render_answer

MODEL = ModelSpec("small", provider="fake")

WORDS = st.text(min_size=1, max_size=8)
NAMES = WORDS.filter(lambda name: not name.isspace())  # white space alone is not a name
LOGPROBS = st.none() | st.just({"content": [{"token": "a", "logprob": -0.5}]})
EXTRAS = st.just(NO_EXTRAS) | st.builds(
    lambda text: Extras(WIRE, {"extra_content": {"google": {"thought_signature": text}}}), WORDS
)
REASONS = ("length", "content_filter")


@st.composite
def usages(draw):
    prompt, completion = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    reasoning = draw(st.none() | st.integers(0, completion))
    return Usage(prompt, completion, prompt + completion, draw(st.integers(0, prompt)), reasoning)


@st.composite
def answers(draw):
    """The events of an answer in an allowed order, without reasoning, whose blocks have their own owners."""
    events, count = [], 0
    for kind in draw(st.lists(st.sampled_from(["text", "refusal", "begin", "arguments"]), max_size=8)):
        if kind == "text":
            events.append(TextDelta(draw(WORDS), draw(LOGPROBS)))
        elif kind == "refusal":
            events.append(RefusalDelta(draw(WORDS)))
        elif kind == "begin":
            events.append(ToolCallBegin(count, f"id{count}", draw(NAMES), draw(EXTRAS)))
            count += 1
        elif count:
            events.append(ToolCallDelta(draw(st.integers(0, count - 1)), draw(WORDS)))
    finish = draw(st.sampled_from([*REASONS, "tool_calls" if count else "stop"]))
    if finish == "tool_calls":  # then each call has arguments
        given_to = {event.index for event in events if isinstance(event, ToolCallDelta)}
        events += [ToolCallDelta(index, "{}") for index in range(count) if index not in given_to]
    usage = draw(usages().filter(lambda one: events or finish != "stop" or one.completion))
    return [*events, Finish(finish), UsageReport(usage)]


def cut(whole, positions):
    edges = sorted({0, len(whole), *(position % (len(whole) + 1) for position in positions)})
    return [whole[start:end] for start, end in pairwise(edges)]


def rendered(batches, **head):
    renderer = Renderer(**{"id": "i", "created": 1, "model": "m", "include_usage": True, **head})
    return b"".join(renderer.feed(batch) for batch in batches) + renderer.close()


@given(answers(), st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(0, 4000), max_size=6))
def test_a_rendered_stream_is_decoded_under_any_split(read, events, batching, positions):
    stream = rendered(cut(events, batching))
    assert read(*cut(stream, positions)) == (events, None)


@given(answers(), st.sampled_from([b"\r\n", b"\r"]), st.lists(st.integers(0, 4000), max_size=6))
def test_line_ends_make_no_difference(read, events, end, positions):
    stream = rendered([events]).replace(b"\n", end)
    assert read(*cut(stream, positions)) == (events, None)


@given(answers())
def test_a_stream_is_decoded_byte_by_byte(read, events):
    stream = rendered([events])
    assert read(*(bytes((byte,)) for byte in stream)) == (events, None)


@given(answers())
def test_a_whole_answer_equals_its_stream(events):
    reply = accumulated(events)
    decoded = accumulated(parse_answer(render_answer(reply, id="i", created=1, model="m"), MODEL))
    # Logprobs belong to text: without text, there is no delta to attach them to.
    # The format has no order of text, refusal and calls.
    assert decoded == replace(reply, logprobs=reply.logprobs if reply.text else None, interleaved=())


@given(answers(), st.lists(st.integers(0, 4000), max_size=6))
def test_a_truncated_stream_gives_the_start_of_the_answer_and_a_failure(read, events, positions):
    stream = rendered([events], include_usage=False)
    for position in (position % stream.index(b'"finish_reason":"') for position in positions):
        decoded, failure = read(stream[:position])
        assert decoded == events[: len(decoded)]
        assert failure is not None
