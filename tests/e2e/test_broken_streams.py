import json
import time

import pytest

from tests.e2e.answers import DONE, SEEN, chunk, cuts, ends, event, hangs, says, streams

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
LIMIT = 0.6  # seconds, of each kind of waiting below
SLACK = 1.5  # seconds that a busy machine may add
HELLO = chunk({"content": "Hello"})
FINISH = chunk({}, "stop")


@pytest.fixture(scope="module")
def config(config):
    limits = ("firstEventTimeoutMs", "idleTimeoutMs", "lastFirstEventTimeoutMs", "lastIdleTimeoutMs")
    config["gateway"]["retry"] |= dict.fromkeys(limits, LIMIT * 1000)
    config["gateway"]["stream"] |= {"heartbeatMs": 200, "openingHeartbeatMs": 300}
    return config


async def streamed(client, model):
    """Status and body of a streamed answer."""
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with client.post(CHAT, json=body, headers=model.chosen) as response:
        text = b""
        async for piece in response.content.iter_any():
            text += piece
            if b"data: " in text:
                model.seen.set()
        return response.status, text.decode()


def events(text):
    """The events of a stream without comments; the end is None. There must be nothing outside of events."""
    frames = text.split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith(("data: ", ": ")) for frame in frames), frames
    payloads = [frame.removeprefix("data: ") for frame in frames if not frame.startswith(": ")]
    return [None if payload == "[DONE]" else json.loads(payload) for payload in payloads]


def shown(parts):
    """The text of an answer and how it ended: its finish reasons and the types of its errors."""
    choices = [part["choices"][0] for part in parts if part and part.get("choices")]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    endings = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return text, endings + [part["error"]["type"] for part in parts if part and "error" in part]


BROKEN = {
    "cut": (streams(HELLO, SEEN, then=cuts), "upstream_error"),
    "ended without a finish": (streams(HELLO, SEEN, then=ends), "upstream_error"),
    "done without a finish": (streams(HELLO, SEEN, DONE), "upstream_error"),
    "stalled": (streams(HELLO, SEEN, then=hangs), "upstream_timeout"),
    "stalled inside an event": (streams(HELLO, SEEN, b'data: {"choices', then=hangs), "upstream_timeout"),
    "no json": (streams(HELLO, SEEN, b"data: {nonsense\n\n", FINISH, DONE), "upstream_error"),
    "another shape": (streams(HELLO, SEEN, event(["what"]), FINISH, DONE), "upstream_error"),
    "error": (streams(HELLO, SEEN, event({"error": {"message": "oh", "code": 500}})), "upstream_error"),
    "limit": (streams(HELLO, SEEN, event({"error": {"message": "slow", "code": 429}})), "upstream_rate_limited"),
    "error, then silence": (streams(HELLO, SEEN, event({"error": {"message": "oh"}}), then=hangs), "upstream_error"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_stream_that_breaks_ends_with_one_error(client, provider, name):
    answer, kind = BROKEN[name]
    before = time.monotonic()
    status, text = await streamed(client, provider.model(answer))
    assert time.monotonic() - before < LIMIT + SLACK
    assert status == 200
    parts = events(text)
    assert shown(parts) == ("Hello", [kind])
    assert parts.index(None) == len(parts) - 1
    assert "error" in parts[-2]


HEL, LO = (chunk({"content": text}) for text in ("Hel", "lo"))
WHOLE = {
    "as it should be": says("Hello"),
    "without a done": streams(HELLO + FINISH, then=ends),
    "cut after the finish": streams(HELLO + FINISH, SEEN, then=cuts),
    "silent after the finish": streams(HELLO + FINISH, SEEN, then=hangs),
    "cut after the done": streams(HELLO + FINISH, DONE, SEEN, then=cuts),
    "nonsense after the finish": streams(HELLO + FINISH, SEEN, b"data: {nonsense\n\n"),
    "text that follows the finish": streams(HEL + FINISH, LO, DONE),
    "silent after the done": streams(HELLO + FINISH, SEEN, DONE, then=hangs),
    "error after the done": streams(HELLO + FINISH, SEEN, DONE + event({"error": {"message": "oh"}})),
    "a second finish": streams(HELLO + FINISH, SEEN, FINISH, DONE),
    "no blank line at the end": streams(HELLO, FINISH.rstrip(b"\n")),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_a_complete_answer_ends_with_its_finish_whatever_follows(client, provider, name):
    before = time.monotonic()
    status, text = await streamed(client, provider.model(WHOLE[name]))
    assert time.monotonic() - before < LIMIT + SLACK
    parts = events(text)
    assert (status, *shown(parts)) == (200, "Hello", ["stop"])
    assert parts.index(None) == len(parts) - 1


UNBEGUN = {
    "cut": (streams(then=cuts), 502, "upstream_error"),
    "empty": (streams(), 502, "upstream_error"),
    "done at once": (streams(DONE), 502, "upstream_error"),
    "error": (streams(event({"error": {"message": "slow", "code": 429}})), 429, "upstream_rate_limited"),
    "no json": (streams(b"data: {nonsense\n\n"), 502, "upstream_error"),
}


@pytest.mark.parametrize("name", UNBEGUN)
async def test_a_failure_before_the_stream_has_its_own_status(client, provider, name):
    answer, expected, kind = UNBEGUN[name]
    status, text = await streamed(client, provider.model(answer))
    assert (status, json.loads(text)["error"]["type"]) == (expected, kind)


@pytest.mark.parametrize("frames", [(), (b": still here\n\n",)], ids=["headers only", "a comment"])
async def test_a_timeout_after_an_early_opened_stream_is_an_error_event(client, provider, frames):
    before = time.monotonic()
    status, text = await streamed(client, provider.model(streams(*frames, then=hangs)))
    assert LIMIT <= time.monotonic() - before < LIMIT + SLACK
    assert (status, text[:2]) == (200, ": ")
    parts = events(text)
    assert shown(parts) == ("", ["upstream_timeout"])
    assert parts[-1] is None


async def test_an_idle_stream_is_kept_alive_with_comments(client, provider):
    _, text = await streamed(client, provider.model(streams(HELLO, then=hangs)))
    assert text.count(": ping\n\n") >= 2


async def test_text_split_between_two_reads_arrives_whole(client, provider):
    frame = 'data: {"choices":[{"delta":{"content":"naïve 🦞"}}]}\n\n'.encode()
    pieces = [frame[:36], frame[36:46], frame[46:48], frame[48:]]
    _, text = await streamed(client, provider.model(streams(*pieces, FINISH, DONE)))
    assert shown(events(text)) == ("naïve 🦞", ["stop"])


async def test_an_emoji_split_into_escapes_is_joined(client, provider):
    halves = [chunk({"content": "\ud83e"}), chunk({"content": "\udd9e!"})]
    _, text = await streamed(client, provider.model(streams(*halves, FINISH, DONE)))
    assert shown(events(text)) == ("🦞!", ["stop"])
