"""Large request bodies: their budget over all requests, the limit of their values, and a thread that decodes them.

Small bodies, nearly all of them, don't come here. A large one reserves its bytes until its request has ended, because
the request holds several copies of it: as bytes, decoded, and as the body for the provider. Without room it gets a 503
at once, before the gateway reads it. Large stored data that a request reads have the same budget (`hold`): clients that
read their answers slowly would make the process hold any number of them.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from gateway.core.errors import Overloaded, PayloadTooLarge
from gateway.core.json_count import ValueCounter

T = TypeVar("T")

LARGE = 128 * 1024
"""A body of more bytes is large. A smaller one is decoded within a few milliseconds."""
MAX_VALUES = 100_000
"""The most JSON values of a large body: messages, parts, items, fields and their elements."""
MAX_TOKEN_IDS = 310_000
"""The most values of a large body whose arrays may hold the ids of tokens: OpenAI embeds up to 300,000 at once."""
_RETRY_AFTER = 2  # seconds


class LargeBodies:
    """The large bodies of one application: at most `total` bytes at a time, for one caller three quarters of that."""

    def __init__(self, total: int) -> None:
        self.resize(total)
        self._used = 0
        self._by_caller: Counter[str] = Counter()
        # One thread: more would compete with the event loop for the interpreter.
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._decoding = asyncio.Lock()
        self.turns = asyncio.Lock()

    def resize(self, total: int) -> None:
        """Change the budget; what is reserved stays reserved."""
        self._total = total
        self._share = total * 3 // 4

    @property
    def used(self) -> int:
        """The reserved bytes."""
        return self._used

    def reserve(self, caller: str, token_ids: int = 0) -> "BodyReservation":
        """A reservation without bytes yet; `token_ids`: see `count` of BodyReservation."""
        return BodyReservation(self, caller, token_ids)

    def take(self, caller: str, size: int) -> None:
        """Reserve bytes. Raises Overloaded."""
        if self._used + size > self._total:
            raise Overloaded(
                "The gateway is busy with other large requests. Send this request again in a moment.", _RETRY_AFTER
            )
        if self._by_caller[caller] + size > self._share:
            raise Overloaded(
                "Your other large requests have to end first. Send this request again in a moment.", _RETRY_AFTER
            )
        self._used += size
        self._by_caller[caller] += size

    def give_back(self, caller: str, size: int) -> None:
        """Return reserved bytes."""
        self._used -= size
        self._by_caller[caller] -= size
        if not self._by_caller[caller]:
            del self._by_caller[caller]

    async def decode(self, work: Callable[[], T]) -> T:
        """Run the decoding of a large body in the thread, after earlier ones, and return its result.

        The next one begins when the caller waits again: so the event loop never has several decoded bodies to work on
        in one iteration, which other requests would wait for.
        """
        async with self._decoding:
            return await asyncio.get_running_loop().run_in_executor(self._decoder, work)

    def close(self) -> None:
        """End the thread."""
        self._decoder.shutdown(cancel_futures=True)


class BodyReservation:
    """The reserved bytes of one large body, and the number of its values so far."""

    def __init__(self, bodies: LargeBodies, caller: str, token_ids: int) -> None:
        self._bodies = bodies
        self._caller = caller
        self._token_ids = token_ids
        self._size = 0
        self._values = ValueCounter()

    def grow(self, size: int) -> None:
        """Reserve up to `size` bytes in all. Raises Overloaded."""
        if size > self._size:
            self._bodies.take(self._caller, size - self._size)
            self._size = size

    def add(self, size: int) -> None:
        """Reserve `size` more bytes. Raises Overloaded."""
        self.grow(self._size + size)

    async def turn(self) -> None:
        """Wait for this body's turn to be read: one piece of one large body in each iteration of the event loop.

        Else each iteration reads a piece of every large body that arrives, and other requests wait for all of them.
        """
        async with self._bodies.turns:
            await asyncio.sleep(0)

    def count(self, part: bytes) -> None:
        """Count the values in the next part, but `token_ids` numbers in arrays don't count. Raises PayloadTooLarge."""
        values = self._values
        values.feed(part)
        if values.count > MAX_VALUES and values.count - min(values.plain, self._token_ids) > MAX_VALUES:
            raise PayloadTooLarge(
                f"The request body has more than {MAX_VALUES} JSON values (messages, parts, items, fields). Send fewer."
            )

    def release(self, _task: object = None) -> None:
        """Return the bytes; a second time changes nothing."""
        size, self._size = self._size, 0
        if size:
            self._bodies.give_back(self._caller, size)


LARGE_BODIES = web.AppKey("large_bodies", LargeBodies)
BODY = web.RequestKey("body", BodyReservation)
"""The reservation of a large body. It ends with the request, unless a background run takes it over."""


def reserved(request: web.Request, caller: str, token_ids: int = 0) -> BodyReservation:
    """A reservation that ends with the request. Call it in the request's task."""
    reservation = request[BODY] = request.app[LARGE_BODIES].reserve(caller, token_ids)
    task = asyncio.current_task()
    if task is None:
        raise AssertionError("a handler runs in a task")
    task.add_done_callback(lambda _: _release(request))
    return reservation


def hold(request: web.Request, caller: str, size: int) -> None:
    """Reserve `size` more bytes until the end of the request, which holds stored data of that size; nothing for small
    data. Call it in the request's task. Raises Overloaded.
    """
    if (reservation := request.get(BODY)) is not None:
        reservation.add(size)
    elif size > LARGE:
        reserved(request, caller).add(size)


def hand_over(request: web.Request) -> BodyReservation | None:
    """Take the reservation of a run that outlives its request; None for a small body. The caller releases it."""
    reservation = request.get(BODY)
    if reservation is not None:
        del request[BODY]
    return reservation


def _release(request: web.Request) -> None:
    if (reservation := request.get(BODY)) is not None:
        reservation.release()


async def decoded(request: web.Request, work: Callable[[], T]) -> T:
    """Run `work`, which decodes the body, in the thread if the body is large, and return its result."""
    return await request.app[LARGE_BODIES].decode(work) if BODY in request else work()
