"""Stores responses before the client sees their end."""

import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway.core.accumulator import Accumulator
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.event import Stream
from gateway.core.jsonio import dumps
from gateway.core.message import Message
from gateway.core.tracebacks import drop_tracebacks
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.trace import RunTrace
from gateway.state.responses.store import ResponseStore, StoredResponse
from gateway.wire.openai_chat.error_body import error_body
from gateway.wire.openai_responses.render import answer_object
from gateway.wire.openai_responses.response_object import Head, error_object
from gateway.wire.openai_responses.stream import Renderer

log = structlog.get_logger(__name__)

_LARGE = GatewayError("The answer is too large to be stored (`gateway.state.maxResponseBytes`).")


class FailedResponse(GatewayError):
    """A failed run, reported as a failed `response` object with the error's status, as in OpenClaw."""

    def __init__(self, cause: GatewayError, response: Mapping[str, Any]) -> None:
        super().__init__(cause.message, param=cause.param, code=cause.code)
        self.status, self.type = cause.status, cause.type
        self._cause = cause
        self.response = response

    @property
    def log_message(self) -> str:
        """See GatewayError."""
        return self._cause.log_message

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the error."""
        return self._cause.headers


def responses_error_body(error: GatewayError) -> dict[str, Any]:
    """The body of an error of the Responses API: a failed run is a response like any other."""
    return dict(error.response) if isinstance(error, FailedResponse) else error_body(error)


@dataclass(frozen=True, slots=True)
class Storage:
    """The store of a response, and its record without the answer. If `store` is None, nothing is stored."""

    store: ResponseStore | None
    record: StoredResponse

    async def put(self, response: dict[str, Any], messages: tuple[Message, ...] = ()) -> bytes:
        """Store a response that has ended, with the messages that continue its conversation. Returns its JSON.

        If it can't be stored, the client still gets it, with `store` false.
        """
        body = dumps(response)
        if self.store is None or await _stored(self.store, ended(self.record, body, messages)):
            return body
        response["store"] = False
        return dumps(response)


def ended(record: StoredResponse, body: bytes, messages: tuple[Message, ...]) -> StoredResponse:
    """The record of a response that has ended; a failed turn (no `messages`) is not part of its conversation."""
    return replace(record, body=body, messages=(*record.messages, *messages) if messages else ())


async def _stored(store: ResponseStore, record: StoredResponse) -> bool:
    try:
        return await store.put(record)
    except Unavailable as error:
        drop_tracebacks(error)
        log.warning("A response could not be stored", response=record.id, reason=error.message)
        return False


async def store_ended(
    store: ResponseStore, record: StoredResponse, response: Mapping[str, Any], messages: tuple[Message, ...] = ()
) -> StoredResponse:
    """Replace a stored background response by its final state. Raises Unavailable.

    A response that is too large is stored as failed: the result must not depend on whether anyone polls before the
    events expire. A response that was deleted meanwhile stays deleted.
    """
    whole = ended(record, dumps(response), messages)
    if not await store.put(whole, new=False):
        failed = {**response, "status": "failed", "completed_at": None, "output": (), "error": error_object(_LARGE)}
        whole = ended(record, dumps(failed), ())
        log.warning("A response is too large to be stored", response=record.id)
        await store.put(whole, new=False)
    return whole


class ResponseRecorder:
    """An AnswerStream that stores the response before the client sees its end, so that the client can continue it.

    `renderer` renders the stream; for a whole answer, `body` holds the JSON at the end.
    """

    def __init__(self, run: AnswerStream, storage: Storage, head: Head, renderer: Renderer, *, streamed: bool) -> None:
        self._run = run
        self._storage = storage
        self._head = head
        self._renderer = renderer
        self._streamed = streamed
        self._ended = False
        self.body = b""

    @property
    def trace(self) -> RunTrace:
        """See AnswerStream."""
        return self._run.trace

    async def events(self) -> Stream:
        """See AnswerStream. Raises FailedResponse."""
        accumulator = Accumulator()
        try:
            async with aclosing(self._run.events()) as batches:
                async for batch in batches:
                    accumulator.add(batch)
                    yield batch
        except GatewayError as error:
            failure = self._renderer.failure(error)
            await self._put(failure)
            raise FailedResponse(error, failure) from error
        answer = accumulator.answer()
        if self._streamed:
            response = self._renderer.outcome()
        else:
            response = answer_object(answer, self._head, completed=int(time.time()))
        await self._put(response, (*answer.tool_work, *answer.messages()))

    async def store_other_end(self) -> None:
        """Store the response that the stream reported, if the run did not reach its end. Call it after the stream."""
        if not self._ended and self._renderer.final is not None:
            await self._put(self._renderer.final)

    async def _put(self, response: dict[str, Any], messages: tuple[Message, ...] = ()) -> None:
        self._ended = True
        self.body = await self._storage.put(response, messages)
