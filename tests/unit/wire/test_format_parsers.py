"""What providers of every format send, read without an application, and requests written for them."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.message import Message, Owner, Text, Thinking
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.core.usage import Usage
from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from tests.unit.wire.clients import visible
from tests.unit.wire.every_format import (
    ANSWERS,
    each_answer,
)
from tests.unit.wire.formats import FORMATS, PROVIDERS


def test_every_wire_format_is_proven_here(toy_in_the_table):
    assert PROVIDERS.keys() == UPSTREAMS.keys()
    assert all(name == upstream.name for name, upstream in UPSTREAMS.items())


@pytest.mark.parametrize("api", PROVIDERS)
def test_reasoning_of_another_model_is_never_sent(api):
    upstream, says = FORMATS[api], PROVIDERS[api]
    asking = [Message("user", (Text("hi"),)), Message("user", (Text("so?"),))]
    for owner in (Owner(api, "house", "large"), Owner(api, "home", "small"), Owner("other", "house", "small")):
        thinking = Message("assistant", (Thinking("secret", "s", owner=owner), Text("Hello")))
        request = upstream.request(Turn("m", (asking[0], thinking, asking[1])), ModelSpec("small", provider="house"))
        assert says.asked(request.path, request.body)["messages"][1] == ["assistant", ["text", "Hello"]]
        assert b"secret" not in request.body


EMPTY = r"could not be read: it (is empty|has no output)|it holds no text and no call"


@pytest.mark.parametrize("text", [None, ""])
@pytest.mark.parametrize("api", UPSTREAMS)
def test_an_answer_without_content_and_tokens_is_a_failure_whole_and_streamed(api, text):
    upstream, says, model = FORMATS[api], PROVIDERS[api], ModelSpec("small", provider="house")
    empty = Answer(text, "stop", Usage(5, 0, 5))
    with pytest.raises(UpstreamError, match=EMPTY):
        upstream.parse_answer(says.whole(empty), model)
    parser = upstream.parser(model)
    frames = [frame.replace(b'"output_tokens": 1', b'"output_tokens": 0') for frame in says.frames(empty)]
    with pytest.raises(UpstreamError, match=EMPTY):
        _ = [parser.feed(frame) for frame in frames], parser.close()


@pytest.mark.parametrize("api", ["openai-completions", "anthropic-messages", "ollama", "bedrock-converse-stream"])
def test_an_answer_without_content_whose_tokens_are_counted_is_the_models_choice(api):
    upstream, says, model = FORMATS[api], PROVIDERS[api], ModelSpec("small", provider="house")
    empty = Answer(None, "stop", Usage(5, 2, 7))
    whole = upstream.parse_answer(says.whole(empty), model)
    parser = upstream.parser(model)
    streamed = [event for frame in says.frames(empty) for event in parser.feed(frame)] + parser.close()
    for batch in (whole, streamed):
        answer = accumulated(batch)
        assert (answer.text or "", answer.finish, answer.usage.completion) == ("", "stop", 2)


class Sent(NamedTuple):
    """An answer as a provider sends it. `seen` is what is visible of its `stream`; `whole` is the answer, None if the
    format's streams say less or more.
    """

    stream: bytes
    seen: object
    whole: Answer | None


@cache
def sent(api: str, name: str) -> Sent:
    """Cached, as all splits have it in common; what is sent whole is checked here."""
    upstream, says, model = FORMATS[api], PROVIDERS[api], ModelSpec("small", provider="house")
    whole = accumulated(upstream.parse_answer(says.whole(ANSWERS[name]), model))
    received, streamed = (says.received(ANSWERS[name], stream=stream) for stream in (False, True))
    assert visible(whole) == visible(received)
    return Sent(b"".join(says.frames(ANSWERS[name])), visible(streamed), whole if streamed == received else None)


@pytest.mark.parametrize("api", PROVIDERS)
@each_answer
@settings(max_examples=25)  # for each of a hundred streams, besides the split into single bytes
@given(cuts=st.lists(st.integers(0, 2**16), max_size=8))
@example(cuts=range(2**16))
def test_a_whole_answer_and_a_stream_under_any_split_say_the_same(api, name, cuts):
    stream, seen, whole = sent(api, name)
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    parser, events = FORMATS[api].parser(ModelSpec("small", provider="house")), []
    for start, end in pairwise(edges):
        events += parser.feed(stream[start:end])
    streamed = accumulated([*events, *parser.close()])
    assert visible(streamed) == seen
    assert whole in (None, streamed)
