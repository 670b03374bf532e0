"""One holder at a time for each key, in order of arrival, within this process."""

import asyncio
from collections import deque
from collections.abc import Hashable

from gateway.core.errors import SessionBusy


class KeyedQueue:
    """Call `enter`, then `leave`, for each key. A key without a holder takes no memory."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def enter(self, key: Hashable, wait: float) -> None:
        """Wait for all earlier callers of this key. Raises SessionBusy after `wait` seconds."""
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            async with asyncio.timeout(wait):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(key)  # the turn came in the moment of the timeout
            elif turn in queue:  # `leave` may have dropped it in the moment of the timeout
                queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise SessionBusy(wait) from None
            raise

    def leave(self, key: Hashable) -> None:
        """Let the next caller of this key enter."""
        queue = self._waiting[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]
