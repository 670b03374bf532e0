"""A run whose response is kept before its end is told, so that whoever has the end can continue it at once."""

import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.core.errors import GatewayError, Unavailable
from gateway.core.event import Stream
from gateway.core.jsonio import dumps
from gateway.core.message import Message
from gateway.core.reply import Reply
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.trace import RunTrace
from gateway.state.responses.store import ResponseStore, StoredResponse
from gateway.wire.openai_responses.items import read_items
from gateway.wire.openai_responses.render import reply_object
from gateway.wire.openai_responses.response_object import Head, error_object, response_object
from gateway.wire.openai_responses.stream import Renderer

log = structlog.get_logger(__name__)

_LARGE = GatewayError("The answer is too large to be kept (`gateway.state.maxResponseBytes`).")


class FailedResponse(GatewayError):
    """A run that failed, told with its status as a failed response (recorded); its `error` is OpenAI's error object."""

    def __init__(self, cause: GatewayError, response: Mapping[str, Any]) -> None:
        super().__init__(cause.message, param=cause.param, code=cause.code)
        self.status, self.type = cause.status, cause.type
        self._cause = cause
        self._response = response

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the failure."""
        return self._cause.headers

    def payload(self) -> dict[str, Any]:
        """The response."""
        return dict(self._response)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where a response goes, and all of it that is known before the answer; None as `store` keeps nothing."""

    store: ResponseStore | None
    record: StoredResponse

    async def keep(self, response: dict[str, Any], work: tuple[Message, ...] = ()) -> bytes:
        """Keep a response that has come to its end, with what the agent did for it; its JSON. If that can't be, its
        `store` is made to say so.
        """
        body = dumps(response)
        if self.store is None or await kept(self.store, finished(self.record, body, response, work)):
            return body
        response["store"] = False
        return dumps(response)


def finished(
    record: StoredResponse, body: bytes, response: Mapping[str, Any], work: tuple[Message, ...] = ()
) -> StoredResponse:
    """The record with the answer, and with what the agent did for it. A turn that failed is no part of the conversation
    that goes on from it.
    """
    if response["status"] in ("failed", "cancelled"):
        return replace(record, body=body, messages=())
    answer = read_items(list(response["output"]), "output")
    return replace(record, body=body, messages=(*record.messages, *work, *answer))


async def kept(store: ResponseStore, record: StoredResponse) -> bool:
    """Whether it was kept. An answer is not lost because it can't be: the caller is told so in it."""
    try:
        return await store.put(record)
    except Unavailable as error:
        log.warning("a response could not be kept", response=record.id, reason=error.message)
        return False


async def kept_end(
    store: ResponseStore, record: StoredResponse, response: Mapping[str, Any], work: tuple[Message, ...] = ()
) -> StoredResponse:
    """The record of a response in the background that has come to its end, kept in the place of its beginning. Raises
    Unavailable.

    One that is too large has failed: its end must not hang on who looks before its events are gone. What was deleted
    meanwhile stays deleted.
    """
    whole = finished(record, dumps(response), response, work)
    if not await store.put(whole, new=False):
        failed = {**response, "status": "failed", "completed_at": None, "output": (), "error": error_object(_LARGE)}
        whole = finished(record, dumps(failed), failed)
        log.warning("a response is too large to be kept", response=record.id)
        await store.put(whole, new=False)
    return whole


class ResponseRecorder:
    """See AnswerStream. `renderer` renders the stream; a whole answer has its `body` here afterwards."""

    def __init__(self, run: AnswerStream, keeping: Keeping, head: Head, renderer: Renderer) -> None:
        self._run = run
        self._keeping = keeping
        self._head = head
        self._renderer = renderer
        self._kept = False
        self.body = b""

    @property
    def trail(self) -> RunTrace:
        """See AnswerStream."""
        return self._run.trail

    async def events(self) -> Stream:
        """See AnswerStream. When this ends, what was told so far has come to its end."""
        try:
            async with aclosing(self._run.events()) as events:
                async for batch in events:
                    yield batch
        except GatewayError as error:
            failure = self._renderer.failure(error)
            await self._keep(failure)
            raise FailedResponse(error, failure) from error
        await self._keep(self._renderer.outcome())

    async def told(self) -> None:
        """To be called after the stream: keep what it told when that was another end than the run's."""
        if not self._kept and self._renderer.told is not None:
            await self._keep(self._renderer.told)

    async def _keep(self, response: dict[str, Any]) -> None:
        self._kept = True
        await self._keeping.keep(response, self._renderer.tool_work)

    async def reply(self) -> Reply:
        """See AnswerStream."""
        try:
            reply = await self._run.reply()
        except GatewayError as error:
            failure = response_object(self._head, "failed", (), error=error)
            await self._keeping.keep(failure)
            raise FailedResponse(error, failure) from error
        response = reply_object(reply, self._head, completed=int(time.time()))
        self.body = await self._keeping.keep(response, reply.tool_work)
        return reply


def messages_of(turn: tuple[Message, ...], instructions: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages of a turn that go on to the next one: all but its instructions."""
    return turn[len(instructions) :]
