"""What an instance has decided about quotas while the storage was away, until the storage knows it."""

from collections.abc import Callable, Iterable, Sequence

from openclaw_ratelimit.memory import ProcessStorage
from openclaw_ratelimit.quota_policy import Share

_MAX_PENDING = 10_000  # of each: what goes beyond that fades, and leases end, by themselves


class Pending:
    """Counts by window, runs that have ended (key in the storage, run), and keys of windows that were reset."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._counts = ProcessStorage(clock)
        self._shares: dict[str, Share] = {}
        self.ended: list[tuple[str, str]] = []
        self.resets: dict[str, None] = {}

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self._shares or self.ended or self.resets)

    def count(self, shares: Sequence[Share], counts: Sequence[int]) -> None:
        """Counted, or (negative) taken back, here alone. Runs are merged by their ids."""
        for share, count in zip(shares, counts, strict=True):
            has_room = share.key in self._shares or len(self._shares) < _MAX_PENDING
            if share.policy.counts != "runs" and count and has_room:
                self._counts.count(share.key, share.policy.window, count)
                self._shares[share.key] = share

    def end(self, ended: Iterable[tuple[str, str]]) -> None:
        """These runs are over."""
        if len(self.ended) < _MAX_PENDING:
            self.ended += ended

    def forget(self, share: Share) -> None:
        """What was counted in this window is forgotten."""
        self._shares.pop(share.key, None)
        self._counts.forget(share.key)

    def reset(self, keys: Iterable[str]) -> None:
        """The storage must forget these windows."""
        if len(self.resets) < _MAX_PENDING:
            self.resets |= dict.fromkeys(keys)

    async def counted(self) -> list[tuple[Share, int]]:
        """What still counts of each window."""
        found = []
        for share in self._shares.values():
            previous, left, current, _ = await self._counts.get_sliding_window(share.key, share.policy.window)
            found.append((share, int(previous * left / share.policy.window + current)))
        return found

    def put_back(self, other: "Pending", counted: Sequence[tuple[Share, int]]) -> None:
        """What `other` held could not be sent."""
        self.count([share for share, _ in counted], [count for _, count in counted])
        self.ended = (other.ended + self.ended)[:_MAX_PENDING]
        self.resets = other.resets | self.resets
