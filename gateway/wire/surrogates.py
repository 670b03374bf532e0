"""Rejoins surrogate pairs that a provider's JSON escapes split over two pieces of text."""


class HalfPair:
    """Holds half of a pair back until the next text."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = ""

    def rejoined(self, text: str) -> str:
        """The text with the half before it, without a half at its end; a half alone becomes U+FFFD."""
        text, self.pending = self.pending + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self.pending = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text
