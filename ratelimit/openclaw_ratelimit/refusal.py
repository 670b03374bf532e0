"""What a quota without room answers: a value, or for `async with` an error that has it."""

from dataclasses import dataclass

from openclaw_ratelimit.errors import RateLimitError
from openclaw_ratelimit.limit_status import LimitStatus


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no room under at least one policy, and nothing was taken of any.

    `statuses` are those of all policies that apply. `retry_after` is seconds until what was asked will fit if nobody
    else takes it (at that very moment not yet), None when it never will.
    """

    statuses: tuple[LimitStatus, ...]

    @property
    def violated(self) -> tuple[LimitStatus, ...]:
        """The statuses of the policies without room."""
        return tuple(status for status in self.statuses if status.wait != 0.0)

    @property
    def retry_after(self) -> float | None:
        """See the class."""
        waits = [status.wait for status in self.statuses]
        return None if None in waits else max(wait for wait in waits if wait is not None)


class QuotaExceeded(RateLimitError):
    """There is no room under at least one policy; `refusal` says which. `retry_after` is seconds, None for never."""

    def __init__(self, refusal: Refusal) -> None:
        names = ", ".join(status.policy.name for status in refusal.violated)
        wait = refusal.retry_after
        advice = "it never fits" if wait is None else f"try again in {wait:.1f} s"
        super().__init__(f"no room under {names}; {advice}")
        self.refusal = refusal
        self.retry_after = wait
