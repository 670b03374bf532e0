"""How long to wait before something that ended is started again."""

_FIRST = 0.5  # seconds; doubled each time
_LONGEST = 30.0
_HEALTHY_AFTER = 60.0  # seconds of service that make an end a new matter


class RestartDelay:
    """Half a second, doubled for every further end up to 30 s; a minute of service starts the count anew."""

    def __init__(self) -> None:
        self._next = _FIRST

    def after(self, served: float) -> float:
        """The seconds to wait after a life that was of use for `served` seconds."""
        delay = _FIRST if served >= _HEALTHY_AFTER else self._next
        self._next = min(delay * 2, _LONGEST)
        return delay
