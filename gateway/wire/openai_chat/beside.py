"""What an answer of this format has beside text, reasoning and calls: audio, images, and what its servers found.

OpenAI and its compatible servers put it into fields of the message (`audio`, OpenRouter's `images`, annotations of any
type) or of the whole completion (Perplexity's `citations`). Clients of this format get those fields as they came, and
a text stands for them in other formats. Foreign parts hold them as `{"message": {…}}` or `{"completion": {…}}`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.core.event import CitationFound, Event, ForeignFound
from gateway.core.message import Citation, Foreign, Part
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.citations import is_citation
from gateway.wire.openai_chat.shapes import COMPLETION_FIELDS, Completion, Delta, WholeCompletion

_PIECES = ("data", "transcript")  # texts of `audio` that come in pieces


def message_events(delta: Delta) -> Iterator[Event]:
    """The events of the fields of a delta or a message that have no event of their own."""
    if isinstance(audio := delta.audio, dict) and audio:
        transcript = audio.get("transcript")
        yield ForeignFound(_of_message("audio", audio, transcript if isinstance(transcript, str) else ""))
    if isinstance(images := delta.images, list) and images:
        yield ForeignFound(_of_message("images", images, "".join(map(_markdown, images))))
    if isinstance(annotations := delta.annotations, list):
        others = [entry for entry in annotations if isinstance(entry, dict) and not is_citation(entry)]
        if others:
            yield ForeignFound(_of_message("annotations", others, ""))


def completion_fields(completion: Completion | WholeCompletion) -> dict[str, Any]:
    """The fields of a completion or a chunk that are about the whole answer."""
    return {name: value for name in COMPLETION_FIELDS if (value := getattr(completion, name))}


def completion_events(fields: Mapping[str, Any], *, cited: bool) -> Iterator[Event]:
    """The events of those fields; unless the message has cited its sources itself, they become citations too."""
    if fields:
        if not cited:
            yield from map(CitationFound, _sources(fields))
        yield ForeignFound(Foreign(WIRE, {"completion": dict(fields)}, ""))


def fields_of_answer(parts: Iterable[Part]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields for the message and for the completion of a whole answer; pieces of one field are joined."""
    message: dict[str, Any] = {}
    completion: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, Foreign) and part.wire == WIRE:
            completion |= part.payload.get("completion") or {}
            for name, value in (part.payload.get("message") or {}).items():
                message[name] = _joined(message.get(name), value)
    return message, completion


def message_fields(part: Foreign) -> dict[str, Any]:
    """The fields for the same message in a later request: audio by its id, the others as they came."""
    fields = dict(part.payload.get("message") or {})
    audio = fields.pop("audio", None)
    if isinstance(audio, dict) and audio.get("id"):
        fields["audio"] = {"id": audio["id"]}
    return fields


def returned_parts(fields: Mapping[str, Any]) -> Iterator[Foreign]:
    """The parts of `audio` and `images` that a client sends back in an assistant's message.

    Another format gets the transcript, and a text instead of the images: their data would be read as text.
    """
    if isinstance(audio := fields.get("audio"), dict) and audio:
        transcript = audio.get("transcript")
        text = transcript if isinstance(transcript, str) and transcript else "[A spoken answer]"
        yield _of_message("audio", audio, text)
    if isinstance(images := fields.get("images"), list) and images:
        yield _of_message("images", images, "[An image of the assistant can't be shown here]")


RETURNED = ("audio", "images")
"""The fields that `returned_parts` reads."""


def _of_message(name: str, value: Any, text: str) -> Foreign:
    return Foreign(WIRE, {"message": {name: value}}, text)


def _markdown(image: Any) -> str:
    """An image as text; `image` is a part of the type `image_url`."""
    link = image.get("image_url") if isinstance(image, dict) else None
    url = link.get("url") if isinstance(link, dict) else link
    return f"![]({url})" if isinstance(url, str) else ""


def _sources(fields: Mapping[str, Any]) -> Iterator[Citation]:
    for entry in fields.get("search_results") or fields.get("citations") or ():
        url, title = (entry.get("url"), entry.get("title")) if isinstance(entry, dict) else (entry, None)
        if isinstance(url, str):
            yield Citation(url, title if isinstance(title, str) else None)


def _joined(known: Any, more: Any) -> Any:
    if isinstance(known, list) and isinstance(more, list):
        return [*known, *more]
    if isinstance(known, dict) and isinstance(more, dict):
        pieces = {
            name: known[name] + more[name]
            for name in _PIECES
            if isinstance(known.get(name), str) and isinstance(more.get(name), str)
        }
        return {**known, **more, **pieces}
    return more
