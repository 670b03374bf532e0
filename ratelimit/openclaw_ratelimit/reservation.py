"""A reservation, and the context manager that makes and settles one."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from openclaw_ratelimit.checks import MAX_COUNT
from openclaw_ratelimit.errors import StorageUnavailable, UsageError
from openclaw_ratelimit.limit_status import LimitStatus
from openclaw_ratelimit.quota_local import LocalQuota
from openclaw_ratelimit.quota_policy import Share
from openclaw_ratelimit.quota_shared import SharedQuota
from openclaw_ratelimit.refusal import QuotaExceeded, Refusal


@dataclass(frozen=True, slots=True)
class Counted:
    """Where something was counted: under which shares, how much, and in windows that began when."""

    shares: Sequence[Share]
    costs: Sequence[int]
    starts: Sequence[float] | None


class Reservation:
    """A place under every policy that applies. `settle` it in every ending of what it was made for; one that is dropped
    without that loses its places, at the next heartbeat at the latest.
    """

    __slots__ = (
        "__weakref__",
        "_forget",
        "_here",
        "_local",
        "_run",
        "_settled",
        "_there",
        "_used",
        "statuses",
    )

    def __init__(
        self,
        run: str,
        statuses: tuple[LimitStatus, ...],
        local: tuple[LocalQuota, Counted],
        shared: tuple[SharedQuota, Counted] | None,
        forget: Callable[[str, None], object] | None = None,
    ) -> None:
        self.statuses = statuses
        """What is left under the policies that apply."""
        self._run = run
        self._forget = forget
        self._local, self._here = local
        self._there = shared
        self._settled = not self._here.shares
        self._used: int | None = None

    def used(self, tokens: int) -> None:
        """For `async with`: so many tokens were needed; the last call holds."""
        self._used = whole_tokens("tokens", tokens)

    async def settle(self, tokens: int | None = None, cost: int | None = None) -> None:
        """The work is over and took so many tokens (None: as many as reserved, or as `used` says) and cost so much
        (None: as much as reserved): count the difference and free the places. Once; a second call changes nothing. With
        a shared storage it returns when that knows, or is known to be away.

        Fewer tokens than reserved are taken back from where they were counted, more are counted now; so is the cost.
        """
        amounts: dict[str, int | None] = {
            "tokens": self._used if tokens is None else whole_tokens("tokens", tokens),
            "cost": None if cost is None else whole_tokens("cost", cost),
        }

        def correction(share: Share, reserved: int) -> int:
            amount = amounts.get(share.policy.counts)
            return 0 if amount is None else amount - reserved

        await self._correct(correction)

    async def undo(self) -> None:
        """The work was not done: give everything back, the request too. Once, and not after `settle`."""
        await self._correct(lambda _, cost: -cost)

    async def finish(self, *, cancelled: bool) -> None:
        """The end of `async with`: settled, or undone when it was cancelled before anything was `used`."""
        if cancelled and self._used is None:
            await self.undo()
        else:
            await self.settle()

    async def _correct(self, correction: Callable[[Share, int], int]) -> None:
        if self._settled:
            return
        self._settled = True
        if self._forget is not None:
            self._forget(self._run, None)
        here, there = self._here, self._there
        self._local.release(here.shares, here.costs)
        self._local.settle(
            here.shares, [*map(correction, here.shares, here.costs)], here.starts or [0.0] * len(here.shares), self._run
        )
        if there is not None:
            shared, counted = there
            corrections = [*map(correction, counted.shares, counted.costs)]
            answer = shared.settle(counted.shares, corrections, counted.starts, self._run)
            if answer is not None:
                with suppress(StorageUnavailable):  # deferred until it is back
                    await asyncio.shield(answer)


class Reserving:
    """What `quota.reserve` returns: await it for a `Reservation` or a `Refusal`, or use it with `async with`.

    `async with` raises QuotaExceeded instead of a Refusal. It settles in every ending; one that is cancelled before
    anything was `used` is undone.
    """

    __slots__ = ("_reservation", "_reserve")

    def __init__(self, reserve: Coroutine[Any, Any, Reservation | Refusal]) -> None:
        self._reserve = reserve
        self._reservation: Reservation | None = None

    def __await__(self) -> Generator[Any, None, Reservation | Refusal]:
        return self._reserve.__await__()

    async def __aenter__(self) -> Reservation:
        outcome = await self._reserve
        if isinstance(outcome, Refusal):
            raise QuotaExceeded(outcome)
        self._reservation = outcome
        return outcome

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._reservation is not None:
            await self._reservation.finish(cancelled=kind is not None and issubclass(kind, asyncio.CancelledError))


def whole_tokens(name: str, tokens: int) -> int:
    """The number, at most `MAX_COUNT`. Raises UsageError unless it is a whole one of at least 0.

    A larger one is no error: what a provider reports must not leave a reservation unsettled.
    """
    if tokens.__class__ is not int or tokens < 0:
        raise UsageError(f"{name} must be a whole number of at least 0, not {tokens!r}")
    return min(tokens, MAX_COUNT)
