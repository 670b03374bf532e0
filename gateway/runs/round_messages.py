"""The messages of a round with tool calls: for the model's next round, and for stored conversations."""

from gateway.core.message import Image, Message, Part, Text, Thinking, ToolCall, ToolResult
from gateway.runs.round_answer import RoundAnswer
from gateway.tools.contract import ToolOutput

# Per run: the number of images and their base64 characters. Every round sends all of them again.
_MAX_PICTURES, _MAX_PICTURE_CHARACTERS = 8, 28_000_000
_MAX_STORED = 4000  # characters of a result in a stored conversation


class Pictures:
    """The remaining budget of a run for images in tool results."""

    def __init__(self) -> None:
        self._left = _MAX_PICTURES
        self._characters_left = _MAX_PICTURE_CHARACTERS

    def taken(self, images: list[Image]) -> list[Image]:
        """The first of these images that fit into the budget."""
        shown = []
        for image in images:
            if self._left == 0 or len(image.url) > self._characters_left:
                break
            self._left -= 1
            self._characters_left -= len(image.url)
            shown.append(image)
        return shown


def round_messages(answer: RoundAnswer, outputs: list[ToolOutput], pictures: Pictures | None) -> list[Message]:
    """The messages for the model: its answer in order, each result, then the images of the results.

    The images are in a user message because chat APIs accept none in a tool message.
    """
    messages = [Message("assistant", answer.parts)]
    shown: list[Part] = []
    for call, output in zip(answer.calls, outputs, strict=True):
        texts = [part.text for part in output.content if isinstance(part, Text)]
        images = [part for part in output.content if isinstance(part, Image)]
        seen = [] if pictures is None else pictures.taken(images)
        if images:
            why = "the model reads none" if pictures is None else "these are enough for one run"
            texts += [f"[{len(seen)} image(s): see below]"] if seen else []
            texts += [f"[{len(images) - len(seen)} image(s): left out, {why}]"] if len(seen) < len(images) else []
        messages.append(Message("tool", (ToolResult(call.id, (Text("\n".join(texts)),)),)))
        if seen:
            shown += [Text(f"Image(s) from the tool {call.name}:"), *seen]
    if shown:
        messages.append(Message("user", tuple(shown)))
    return messages


def stored_messages(answer: RoundAnswer, outputs: list[ToolOutput]) -> list[Message]:
    """The messages for a stored conversation, with long results truncated. They don't have the text of the round,
    because it is part of the answer that the client got.
    """
    beside_text = tuple(part for part in answer.parts if isinstance(part, Thinking | ToolCall))
    messages = [Message("assistant", beside_text, hidden=True)]
    for call, output in zip(answer.calls, outputs, strict=True):
        texts = [part.text if isinstance(part, Text) else "[image: not stored]" for part in output.content]
        text = "\n".join(texts)
        if len(text) > _MAX_STORED:
            text = f"{text[:_MAX_STORED]}\n[the rest was not stored]"
        messages.append(Message("tool", (ToolResult(call.id, (Text(text),)),), hidden=True))
    return messages
