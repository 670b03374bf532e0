"""One at a time for each key, in the order of arrival, within this process. What nobody waits for is not there."""

import asyncio
from collections import deque
from collections.abc import Hashable

from gateway.state.sessions.store import SessionBusy


class KeyedQueue:
    """`enter`, then `leave`, for each key."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def enter(self, key: Hashable, wait: float) -> None:
        """Wait for everybody before us. Raises SessionBusy after `wait` seconds."""
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
                self.leave(key)  # it was our turn in the moment in which we gave up
            elif turn in queue:  # else it was passed over in the moment in which we gave up
                queue.remove(turn)
            if isinstance(error, TimeoutError):
                raise SessionBusy(wait) from None
            raise

    def leave(self, key: Hashable) -> None:
        """Let the next one in."""
        queue = self._waiting[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]
