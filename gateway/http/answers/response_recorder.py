"""Responses are stored before their end is reported."""

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
    """A run that failed, as a failed response with the status of the failure (recorded); `error` is OpenAI's object."""

    def __init__(self, cause: GatewayError, response: Mapping[str, Any]) -> None:
        super().__init__(cause.message, param=cause.param, code=cause.code)
        self.status, self.type = cause.status, cause.type
        self._cause = cause
        self.response = response

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the failure."""
        return self._cause.headers


def responses_error_body(error: GatewayError) -> dict[str, Any]:
    """The body of an error of the Responses API: a failed run is a response like any other."""
    return dict(error.response) if isinstance(error, FailedResponse) else error_body(error)


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a response is stored, and what of its record is known before the answer; `store` None stores nothing."""

    store: ResponseStore | None
    record: StoredResponse

    async def put(self, response: dict[str, Any], messages: tuple[Message, ...] = ()) -> bytes:
        """Store a response that has ended, with the messages that its conversation goes on with; its JSON.

        A response that can't be stored is not lost: its `store` says so.
        """
        body = dumps(response)
        if self.store is None or await _stored(self.store, ended(self.record, body, messages)):
            return body
        response["store"] = False
        return dumps(response)


def ended(record: StoredResponse, body: bytes, messages: tuple[Message, ...]) -> StoredResponse:
    """The record of a response that has ended; a turn that failed (no `messages`) is not part of its conversation."""
    return replace(record, body=body, messages=(*record.messages, *messages) if messages else ())


async def _stored(store: ResponseStore, record: StoredResponse) -> bool:
    try:
        return await store.put(record)
    except Unavailable as error:
        log.warning("A response could not be stored", response=record.id, reason=error.message)
        return False


async def store_ended(
    store: ResponseStore, record: StoredResponse, response: Mapping[str, Any], messages: tuple[Message, ...] = ()
) -> StoredResponse:
    """Store a background response that has ended in the place of its beginning. Raises Unavailable.

    One that is too large has failed: the result must not depend on whether anyone polls before its events expire.
    What was deleted meanwhile stays deleted.
    """
    whole = ended(record, dumps(response), messages)
    if not await store.put(whole, new=False):
        failed = {**response, "status": "failed", "completed_at": None, "output": (), "error": error_object(_LARGE)}
        whole = ended(record, dumps(failed), ())
        log.warning("A response is too large to be stored", response=record.id)
        await store.put(whole, new=False)
    return whole


class ResponseRecorder:
    """Stores the response of a run before the client gets its end, so that the client can continue it at once.

    See AnswerStream. `renderer` renders the stream, if it is one; the JSON of a whole response is in `body` afterwards.
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
    def trail(self) -> RunTrace:
        """See AnswerStream."""
        return self._run.trail

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
        """To be called after the stream: store what it reported when that was another end than the run's."""
        if not self._ended and self._renderer.final is not None:
            await self._put(self._renderer.final)

    async def _put(self, response: dict[str, Any], messages: tuple[Message, ...] = ()) -> None:
        self._ended = True
        self.body = await self._storage.put(response, messages)


def messages_of(turn: tuple[Message, ...], instructions: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages of a turn that go on to the next one: all but its instructions."""
    return turn[len(instructions) :]
