"""The parent's side of a reload with workers: all prepare the configuration, then all put it in force, or none."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from gateway.cli import messages
from gateway.config.load import Loaded
from gateway.config.reload_status import Reload, ReloadStatus, Trigger
from gateway.core.errors import ConfigError
from gateway.reloader import Reloader

log = structlog.get_logger(__name__)

_TIMEOUT = 30.0  # seconds; a worker waits at most five for tool servers


class Pipes(Protocol):
    """The serving workers, by number."""

    @property
    def serving(self) -> frozenset[int]:
        """Those that serve now."""
        ...

    def send(self, number: int, data: bytes) -> None:
        """Send a message; nothing happens if that worker has ended."""
        ...

    def kill(self, number: int) -> None:
        """Kill a worker, so that it is started again."""
        ...


class WorkerReloads:
    """Gives every worker the configuration that is in force, also those that are started later."""

    def __init__(self, first: Loaded, status: ReloadStatus, pipes: Pipes) -> None:
        self._in_force = first
        self._status = status
        self._pipes = pipes
        self._has: dict[int, Loaded] = {}
        self._lives: Counter[int] = Counter()  # how often each worker has been started
        self._replies: dict[int, asyncio.Future[tuple[str, ...]]] = {}
        self.on_request: Callable[[int], None] = lambda _: None
        """Called with the number of a worker whose client asks for a reload; it is answered by `answer`."""

    def first_message(self, number: int) -> bytes:
        """What a worker reads before anything else."""
        self._has[number] = self._in_force
        self._lives[number] += 1
        return messages.message(messages.PREPARE, (self._in_force, self._status))

    def has_served(self, number: int) -> None:
        """A worker serves. Another configuration may have come in force while it was starting."""
        self._pipes.send(number, messages.message(messages.STATUS, self._status))
        if self._has[number] is not self._in_force:
            self._catch_up(number)

    def has_ended(self, number: int) -> None:
        """A worker has ended; it is started again with the configuration in force."""
        if (reply := self._replies.pop(number, None)) is not None and not reply.done():
            reply.set_result(())

    def has_replied(self, number: int, line: bytes) -> None:
        """DONE, a refusal, or RELOAD."""
        if line == messages.RELOAD:
            self.on_request(number)
            return
        problems = () if line == messages.DONE else messages.refusal(line)
        reply = self._replies.pop(number, None)
        if problems is None:
            log.error("Worker sent an unexpected line", worker=number)
        elif reply is not None and not reply.done():
            reply.set_result(problems)

    async def apply(self, loaded: Loaded, _generation: int) -> None:
        """Put a configuration in force in all workers. Raises ConfigError if one can't prepare it: none has it then."""
        numbers = self._pipes.serving - self._replies.keys()  # those catch up with this one too
        lives = self._lives.copy()
        replies = await self._ask(numbers, messages.message(messages.PREPARE, loaded))
        problems = [text for reply in replies.values() for text in reply]
        for number in sorted(numbers - replies.keys()):
            problems.append(f"worker {number} did not prepare it within {_TIMEOUT:g} s")
            self._pipes.kill(number)
        if problems:
            for number in numbers:
                self._pipes.send(number, messages.DISCARD)
            raise ConfigError(tuple(dict.fromkeys(problems)))
        self._in_force = loaded
        serving = self._pipes.serving
        prepared = {number for number in numbers & serving if self._lives[number] == lives[number]}
        self._has.update(dict.fromkeys(prepared, loaded))
        for number in serving - prepared - self._replies.keys():  # they began to serve meanwhile
            self._catch_up(number)
        await self._ask(prepared, messages.COMMIT)

    async def _ask(self, numbers: Collection[int], data: bytes) -> dict[int, tuple[str, ...]]:
        """The replies of these workers: problems or (). A worker that ends meanwhile has none, one that hangs is left
        out.
        """
        loop = asyncio.get_running_loop()
        replies = {number: loop.create_future() for number in numbers}
        self._replies |= replies
        for number in numbers:
            self._pipes.send(number, data)
        if replies:
            await asyncio.wait(replies.values(), timeout=_TIMEOUT)
        for number in numbers:
            if self._replies.get(number) is replies[number]:
                del self._replies[number]
        return {number: reply.result() for number, reply in replies.items() if reply.done()}

    def _catch_up(self, number: int) -> None:
        """Give one worker the configuration in force. No other one waits for it."""
        wanted, loop = self._in_force, asyncio.get_running_loop()
        reply = self._replies[number] = loop.create_future()

        def give_up() -> None:
            log.error("Worker does not prepare the configuration and is restarted", worker=number, after_s=_TIMEOUT)
            self._pipes.kill(number)

        limit = loop.call_later(_TIMEOUT, give_up)

        def replied(reply: "asyncio.Future[tuple[str, ...]]") -> None:
            limit.cancel()
            if problems := reply.result():
                log.error("Worker can't use the configuration and is restarted", worker=number, problems=problems)
                self._pipes.kill(number)
                return
            self._has[number] = wanted
            self._pipes.send(number, messages.COMMIT)
            if wanted is not self._in_force and number in self._pipes.serving:
                self._catch_up(number)

        reply.add_done_callback(replied)
        self._pipes.send(number, messages.message(messages.PREPARE, wanted))

    async def reload(self, reloader: Reloader, trigger: Trigger) -> Reload:
        """Reload, and let every worker know the result."""
        result = await reloader.reload(trigger)
        self._status = reloader.status
        for number in self._pipes.serving:
            self._pipes.send(number, messages.message(messages.STATUS, self._status))
        return result

    async def answer(self, reloader: Reloader, number: int) -> None:
        """Reload for a client of a worker."""
        result = await self.reload(reloader, "request")
        self._pipes.send(number, messages.message(messages.RESULT, result))
