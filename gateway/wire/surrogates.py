"""Rejoins characters that a provider's JSON escapes split between two pieces of text.

JSON writes a character beyond the Basic Multilingual Plane as two escapes (RFC 8259 §7). Servers that cut text between
tokens send them in two events, and half a character can't be encoded.
"""


class SurrogateJoiner:
    """Holds back the first half of a pair until the second one arrives. `pending` is that half, else ""."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = ""

    def feed(self, text: str) -> str:
        """The text that can be sent on; a half without the other becomes U+FFFD."""
        text, self.pending = self.pending + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self.pending = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text
