"""Moves pictures out of tool results, for formats that accept only text there: they follow as a user message."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from gateway.core.message import Content, Image, Message, Part, Text, ToolResult


def pictures_after_results(messages: Iterable[Message], *, reads_images: bool) -> Iterator[Message]:
    """The messages; the pictures of the results of a round come after the last of them. If the model reads no images,
    the results say so instead. A result that a client sent as an array stays as it is.
    """
    pictures: list[Part] = []
    for message in messages:
        if message.role != "tool" and pictures:
            yield Message("user", tuple(pictures))
            pictures = []
        if message.role == "tool" and any(_has_pictures(part) for part in message.parts):
            parts = tuple(_without(part, pictures, reads_images=reads_images) for part in message.parts)
            yield replace(message, parts=parts)
        else:
            yield message
    if pictures:
        yield Message("user", tuple(pictures))


def _has_pictures(part: Part) -> bool:
    return (
        isinstance(part, ToolResult)
        and not part.content_is_array
        and any(isinstance(item, Image) for item in part.content)
    )


def _without(part: Part, pictures: list[Part], *, reads_images: bool) -> Part:
    if not (isinstance(part, ToolResult) and _has_pictures(part)):
        return part
    images = [item for item in part.content if isinstance(item, Image)]
    content: list[Content] = [item for item in part.content if not isinstance(item, Image)]
    if reads_images:
        pictures += [Text(f"Image(s) that the tool call {part.call_id} returned:"), *images]
        note = f"[{len(images)} image(s): see below]"
    else:
        note = f"[{len(images)} image(s): left out, the model reads none]"
    texts = "\n".join([*(item.text for item in content if isinstance(item, Text)), note])
    others = tuple(item for item in content if not isinstance(item, Text))
    return replace(part, content=(Text(texts), *others))
