"""The delay before a process that ended is restarted."""

_FIRST_DELAY = 0.5  # seconds; doubled each time
_MAX_DELAY = 30.0  # seconds
_HEALTHY_AFTER = 60.0  # seconds of service that reset the delay


class RestartDelay:
    """Half a second, doubled for every restart up to 30 s. A minute of service resets it."""

    def __init__(self) -> None:
        self._next = _FIRST_DELAY

    def after(self, served: float) -> float:
        """The delay in seconds after a process that served for `served` seconds."""
        delay = _FIRST_DELAY if served >= _HEALTHY_AFTER else self._next
        self._next = min(delay * 2, _MAX_DELAY)
        return delay
