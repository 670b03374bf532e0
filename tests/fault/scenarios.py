"""The faults as rows: the act of the first model, and the expected result for the client and the providers.

Every row is a primary model with one fallback that answers well. Times are seconds.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.fault.acts import (
    CHUNKED,
    JSON,
    LAST,
    SSE,
    closes,
    cuts,
    framed,
    gzipped,
    hangs,
    head,
    later,
    refuses,
    rejects_prefill,
    replies,
    says,
    sends,
    streams,
)
from tests.fault.canonical import DONE, STREAM, TOKENS, chunk, ending, event, token_frames, whole
from tests.fault.conftest import BACKOFF, LIMIT, STALL, TIMER_DELAY
from tests.fault.provider import Act, Call

BEFORE = ("streamed", "whole")
MIDWAY = ("streamed", "gathered")
"""`gathered`: a whole answer for the caller, over a stream from the provider."""
PAUSES = 3 * BACKOFF  # the longest that two retries wait, together
OVERFLOW = "This model's maximum context length is 8 tokens"
GROQ = "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000"
GOOGLE = {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}


@dataclass(frozen=True)
class Fault:
    """`calls`: how often primary and fallback are asked. `gap`: between the first two requests to the primary at least.
    `within`: until the answer is complete at most. `fails`: status, type and code of the error instead of an answer.
    """

    primary: tuple[Act, ...]
    calls: tuple[int, int]
    modes: tuple[str, ...] = BEFORE
    gap: float = 0.0
    within: float = PAUSES
    fails: tuple[int, str, str | None] | None = None
    fallback: tuple[Act, ...] = field(default_factory=lambda: (says(),))


def dated(seconds: float) -> Act:
    """A 429 whose `Retry-After` is a date, which has whole seconds only."""

    async def act(call: Call) -> None:
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        await refuses(429, headers=f"Retry-After: {when}\r\n")(call)

    return act


def once(act: Act, **expected: object) -> Fault:
    """The fault happens once: the same model answers."""
    return Fault((act, says()), (2, 0), **expected)  # type: ignore[arg-type]


def always(act: Act, **expected: object) -> Fault:
    """The fault happens every time: the fallback answers after three attempts."""
    return Fault((act,), (3, 1), **expected)  # type: ignore[arg-type]


def passed(act: Act, **expected: object) -> Fault:
    """A retry is pointless: the fallback answers at once."""
    return Fault((act,), (1, 1), **expected)  # type: ignore[arg-type]


def harmless(act: Act, **expected: object) -> Fault:
    """Odd, but complete: the first attempt is the answer."""
    return Fault((act,), (1, 0), **expected)  # type: ignore[arg-type]


def final(act: Act, status: int, code: str | None = None) -> Fault:
    """The request is at fault: it is reported as it is, and no other candidate is asked."""
    return Fault((act,), (1, 0), fails=(status, "invalid_request_error", code))


def so_far(count: int) -> list[bytes]:
    return token_frames(TOKENS[:count])


PART = b"".join(so_far(20))
LIMITED = event({"error": {"message": "slow down", "code": 429}})
BROKEN_EVENT = b'data: {"choices":[{"delta":{"content":"lo\n\n'
CRLF = re.sub(b"\n", b"\r\n", STREAM)
MIXED = b"".join(
    frame + (b"\r\n\r\n", b"\r\r", b"\n\n", b"\r\n\n")[number % 4]
    for number, frame in enumerate(STREAM.split(b"\n\n")[:-1])
)
LARGE = event({"choices": [], "padding": "x" * 100_000})

FAULTS = {
    # refusals
    "429 with seconds": once(refuses(429, headers="Retry-After: 1\r\n"), gap=1.0, within=1.0 + PAUSES),
    "429 with milliseconds": once(refuses(429, headers="retry-after-ms: 150\r\n"), gap=0.15, within=0.15 + PAUSES),
    "429 with a date": once(dated(2), gap=0.9, within=2.0 + PAUSES),
    "429 with nonsense": once(refuses(429, headers="Retry-After: soon\r\n")),
    "429 once": once(refuses(429)),
    "429 for ever": always(refuses(429)),
    "429 for an hour": passed(refuses(429, headers="Retry-After: 3600\r\n"), within=0.0),
    "503 for ever": always(refuses(503)),
    "529 once": once(refuses(529)),
    "529 for ever": always(refuses(529)),
    "500 once": once(refuses(500)),
    "500 twice": Fault((refuses(500), refuses(500), says()), (3, 0)),
    "500 for ever": always(refuses(500)),
    "502 with a page": once(
        replies(b"<html>bad gateway</html>", status="502 Bad", headers="Content-Type: text/html\r\n")
    ),
    "504 once": once(refuses(504)),
    "408 once": once(refuses(408)),
    "409 once": once(refuses(409)),
    "401": passed(refuses(401, "bad key"), within=0.0),
    "402": passed(refuses(402, "pay"), within=0.0),
    "403": passed(refuses(403, "not here"), within=0.0),
    "404": passed(refuses(404, "no such model", code="model_not_found"), within=0.0),
    "429 as quota": passed(refuses(429, "spent", code="insufficient_quota"), within=0.0),
    "too long by code": passed(refuses(400, "long", code="context_length_exceeded"), within=0.0),
    "too long by text": passed(refuses(413, OVERFLOW), within=0.0),
    "413 as rate limit": always(refuses(413, GROQ, code="rate_limit_exceeded")),
    "403 as moderation": final(refuses(403, "no", code=403, metadata={"reasons": ["violence"]}), 400, "content_filter"),
    "402 about this request": passed(refuses(402, "You can only afford 12 tokens. Use fewer max_tokens."), within=0.0),
    "400 as bad key": passed(refuses(400, "bad key", **GOOGLE), within=0.0),
    "400 as bad key in a list": passed(
        replies(json.dumps([{"error": {"message": "bad key", **GOOGLE}}]).encode(), status="400 Bad"), within=0.0
    ),
    **{f"{status}": passed(refuses(status), within=0.0) for status in (407, 410, 421, 498)},
    **{f"{status} once": once(refuses(status)) for status in (424, 425, 499)},
    "redirect": passed(replies(b"", status="307 There", headers="Location: /v1/elsewhere\r\n")),
    **{f"{status}": passed(replies(b"", status=f"{status} Odd")) for status in (201, 204, 206)},
    "400": final(refuses(400, "odd", code="odd_value"), 400, "odd_value"),
    "422": final(refuses(422, "odd"), 422),
    "content filter": final(refuses(400, "no", code="content_filter"), 400, "content_filter"),
    # connections
    "reset before headers": once(cuts),
    "reset inside headers": once(sends(b"HTTP/1.1 200 OK\r\nContent-Ty", then=cuts)),
    "closed without a byte": once(closes),
    "reset for ever": always(cuts, within=PAUSES + 0.1),
    "silent accept": passed(hangs, within=LIMIT + TIMER_DELAY),
    "head without an end": passed(sends(b"HTTP/1.1 200 OK\r\nContent-Ty", then=hangs), within=LIMIT + TIMER_DELAY),
    "slow head": passed(sends(*[bytes([byte]) for byte in head()], apart=0.05), within=LIMIT + TIMER_DELAY),
    "no HTTP": always(sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", then=closes)),
    "informational first": harmless(sends(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", then=says())),
    # bodies that are no answer
    "page as success": always(replies(b"<html>hello</html>", headers="Content-Type: text/html\r\n")),
    "empty success": always(replies(b"")),
    "null": always(replies(b"null")),
    "another shape": always(replies(b'{"choices":[]}')),
    "error inside a success": once(replies(json.dumps({"error": {"message": "oh", "code": 500}}).encode())),
    "limit inside a success": once(replies(json.dumps({"error": {"message": "slow", "code": 429}}).encode())),
    "whole answer cut": once(sends(head(headers=f"{JSON}Content-Length: 5000\r\n") + whole()[:200], then=cuts)),
    "whole answer too short": once(sends(head(headers=f"{JSON}Content-Length: 9000\r\n") + whole(), then=closes)),
    # streams before their first event
    "headers then silence": passed(streams([], then=hangs, end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY),
    "comments only": passed(
        streams([b": wait\n\n"] * 3, then=hangs, end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY
    ),
    "first event late": passed(later(LIMIT * 2.5, says()), within=LIMIT + TIMER_DELAY),
    "error as first event": once(streams(LIMITED), modes=MIDWAY),
    "done at once": always(streams(DONE), modes=MIDWAY),
    "stream without events": always(streams(b""), modes=MIDWAY),
    "json for a stream": harmless(replies(whole()), modes=MIDWAY),
    "silence then close": passed(later(STALL + 0.1, closes), within=LIMIT + TIMER_DELAY),
    "headers then silence then close": passed(
        streams([], then=later(STALL + 0.1, closes), end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY
    ),
    # streams half-way
    "silence at token 20 then close": passed(
        streams(so_far(20), then=later(STALL + 0.1, closes), end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY
    ),
    "silence at token 20 then reset": passed(
        streams(so_far(20), then=later(STALL + 0.1, cuts), end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY
    ),
    "cut at token 40": once(streams(so_far(40), then=cuts, end=False), modes=MIDWAY, within=PAUSES + 0.1),
    "cut at token 40 for ever": always(streams(so_far(40), then=cuts, end=False), modes=MIDWAY, within=PAUSES + 0.2),
    "closed at token 40": once(streams(so_far(40), then=closes, end=False), modes=MIDWAY),
    "ended without a finish": once(streams(so_far(40)), modes=MIDWAY),
    "done without a finish": once(streams([*so_far(40), DONE]), modes=MIDWAY),
    "stall at token 20": passed(streams(so_far(20), then=hangs, end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY),
    "stall inside an event": passed(
        streams([PART, BROKEN_EVENT[:20]], then=hangs, end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY
    ),
    "comments instead of events": passed(
        streams([PART, *[b": wait\n\n"] * 5], then=hangs, end=False), modes=MIDWAY, within=LIMIT + TIMER_DELAY
    ),
    "malformed event": once(streams([PART, BROKEN_EVENT, *token_frames(TOKENS[20:]), *ending()]), modes=MIDWAY),
    "malformed event for ever": always(
        streams([PART, BROKEN_EVENT, *token_frames(TOKENS[20:]), *ending()]), modes=MIDWAY
    ),
    "another shape half-way": once(streams([PART, event([1]), *token_frames(TOKENS[20:]), *ending()]), modes=MIDWAY),
    "error half-way": once(streams([PART, event({"error": {"message": "oh"}})]), modes=MIDWAY),
    "limit half-way": once(streams([PART, LIMITED]), modes=MIDWAY),
    "overload half-way": once(
        streams([PART, event({"error": {"type": "overloaded_error", "message": "busy"}})]), modes=MIDWAY
    ),
    "half a character": once(
        streams([PART, 'data: {"choices":[{"delta":{"content":"🦞'.encode()[:-2]], then=cuts, end=False),
        modes=MIDWAY,
        within=PAUSES + 0.1,
    ),
    "content length too long": once(
        sends(head(headers=f"{SSE}Content-Length: 99999\r\n") + PART, then=closes), modes=MIDWAY
    ),
    "content length too short": once(
        sends(head(headers=f"{SSE}Content-Length: {len(PART)}\r\n") + STREAM, then=closes), modes=MIDWAY
    ),
    "no chunk size": once(sends(head(headers=CHUNKED), framed(PART), b"zz\r\n", then=closes), modes=MIDWAY),
    "http 1.0 cut": once(sends(head(version="1.0"), PART, then=closes), modes=MIDWAY),
    "gzip cut": once(gzipped(STREAM, keep=300, then=cuts, end=False), modes=MIDWAY, within=PAUSES + 0.1),
    "finish reason error": once(streams([PART, chunk({}, "error")]), modes=MIDWAY),
    # unusual, but complete
    "http 1.0": harmless(sends(head(version="1.0"), STREAM, then=closes), modes=MIDWAY),
    "gzip": harmless(gzipped(STREAM), modes=MIDWAY),
    "crlf": harmless(streams(CRLF), modes=MIDWAY),
    "all line ends mixed": harmless(streams(MIXED), modes=MIDWAY),
    "byte by byte": harmless(streams([STREAM[at : at + 1] for at in range(len(STREAM))]), modes=MIDWAY, within=2.0),
    "event of 100 KB": harmless(streams([PART, LARGE, *token_frames(TOKENS[20:]), *ending()]), modes=MIDWAY),
    "byte order mark": harmless(streams(b"\xef\xbb\xbf" + STREAM), modes=MIDWAY),
    "no done": harmless(streams([*token_frames(), *ending()[:2]]), modes=MIDWAY),
    "cut after the finish": harmless(
        streams([*token_frames(), *ending()[:2]], then=cuts, end=False), modes=MIDWAY, within=0.1
    ),
    "nonsense after the finish": harmless(streams([*token_frames(), *ending()[:2], BROKEN_EVENT]), modes=MIDWAY),
    "two finishes": harmless(streams([*token_frames(), chunk({}, "stop"), *ending()]), modes=MIDWAY),
    "another content type": harmless(
        sends(head(headers="Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"), framed(STREAM), LAST),
        modes=MIDWAY,
    ),
    "running usage": harmless(
        streams([*(event({"choices": [], "usage": {"prompt_tokens": 1}}) for _ in range(3)), STREAM]), modes=MIDWAY
    ),
    # the fallback has faults of its own
    "fallback rejects prefill": Fault(
        (streams(so_far(40), then=hangs, end=False),),
        (1, 1),
        modes=MIDWAY,
        within=LIMIT + TIMER_DELAY,
        fallback=(rejects_prefill,),
    ),
    "both break at different places": Fault(
        (streams(so_far(40), then=cuts, end=False),),
        (3, 2),
        modes=MIDWAY,
        within=2 * PAUSES + 0.3,
        fallback=(streams(so_far(50), then=cuts, end=False), says()),
    ),
    "both fail": Fault(
        (refuses(500),), (3, 3), within=2 * PAUSES, fails=(503, "upstream_error", None), fallback=(refuses(503),)
    ),
}
