"""Rescue by prefill, for models that continue an assistant's message: the answer so far is sent along to be continued.

Only where the model's `compat` says so, because others refuse such a request or answer it as if it were a question, and
only for plain text: calls can't be continued half-way.
"""

from msgspec.structs import replace

from gateway.core.message import Message, Text
from gateway.core.turn import Turn
from gateway.runs.rescue import Replay, Seen


def prefilled(turn: Turn, seen: Seen) -> tuple[Turn, Replay] | None:
    """The turn that asks for the rest of what was seen, and what the rest passes; None when it is not plain text.

    Providers cut off or refuse white space at the end of such a message, so that is expected to be said again.
    """
    text = seen.plain_text()
    known = text.rstrip() if text is not None else ""
    if text is None or not known:
        return None
    rest = Seen()
    if len(known) < len(text):
        rest.say("text", text[len(known) :])
    return replace(turn, messages=(*turn.messages, Message("assistant", (Text(known),)))), Replay(rest)
