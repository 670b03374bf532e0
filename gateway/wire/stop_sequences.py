"""Ends an answer at a stop sequence, for formats that have none: what follows it is dropped.

The provider still writes the rest of its answer, so the token counts stay true.
"""

from msgspec.structs import replace

from gateway.core.event import Batch, Finish, TextDelta, UsageReport


class StopSequences:
    """A filter for one answer; `stops` are texts that are not empty."""

    __slots__ = ("_held", "_max_prefix_chars", "_stopped", "_stops")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._max_prefix_chars = max(map(len, stops)) - 1
        self._held = ""  # the end of the text so far, which may be the beginning of a stop sequence
        self._stopped: str | None = None

    def feed(self, batch: Batch) -> Batch:
        """The events up to the first stop sequence, and the end of the answer."""
        passed: Batch = []
        for event in batch:
            if self._stopped is not None:
                if isinstance(event, Finish):
                    passed.append(Finish("stop", event.raw or event.reason, self._stopped))
                elif isinstance(event, UsageReport):
                    passed.append(event)
            elif isinstance(event, TextDelta):
                passed += self._text(event)
            else:
                if self._held:
                    passed.append(TextDelta(self._held))
                    self._held = ""
                passed.append(event)
        return passed

    def _text(self, event: TextDelta) -> Batch:
        text = self._held + event.text
        ends = {stop: text.find(stop) for stop in self._stops}
        matching = {stop: at for stop, at in ends.items() if at >= 0}
        if matching:
            self._stopped = min(matching, key=lambda stop: matching[stop])
            shown, self._held = text[: matching[self._stopped]], ""
        else:
            size = self._open_prefix(text)
            shown, self._held = text[: len(text) - size], text[len(text) - size :]
        return [replace(event, raw=shown)] if shown else []

    def _open_prefix(self, text: str) -> int:
        """The length of the longest end of the text that a stop sequence begins with."""
        for size in range(min(self._max_prefix_chars, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops):
                return size
        return 0
