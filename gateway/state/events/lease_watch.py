"""Whether the worker of a run is dead, judged by this process's monotonic clock.

A lease that ends by somebody's system clock says little after that clock has stepped, or after a process or a machine
was frozen. A living worker renews its lease within one heartbeat. So a lease that has ended counts as lost only if it
stays so for a while, counted from the first look.
"""

from collections.abc import Callable

_MAX_RUNS = 10_000


class LeaseWatch:
    """The runs whose lease had ended when somebody looked. `grace` is the time in seconds for the worker to come back;
    `clock` counts seconds.
    """

    def __init__(self, grace: float, clock: Callable[[], float]) -> None:
        self._grace = grace
        self._clock = clock
        self._ended: dict[str, float] = {}

    def is_held(self, name: str, *, lease_is_valid: bool) -> bool:
        """Whether to treat the lease of this run as held."""
        if lease_is_valid:
            self._ended.pop(name, None)
            return True
        now = self._clock()
        seen = self._ended.get(name)
        if seen is None:
            while len(self._ended) >= _MAX_RUNS:  # the oldest; its next reader waits again
                del self._ended[next(iter(self._ended))]
            self._ended[name] = seen = now
        return now - seen < self._grace

    def forget(self, name: str) -> None:
        """The run has ended."""
        self._ended.pop(name, None)
