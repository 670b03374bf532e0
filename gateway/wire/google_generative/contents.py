"""Encodes a conversation as `contents` and `systemInstruction`.

A model's thought signatures go back to it on the very parts that they came with
(https://ai.google.dev/gemini-api/docs/thought-signatures). They are stored as reasoning, whose extras name that part.
"""

from collections.abc import Iterable
from typing import Any, Literal

from gateway.core.message import (
    Audio,
    Citation,
    Content,
    Extras,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.wire.arguments import arguments_object
from gateway.wire.call_ids import NO_RESULT
from gateway.wire.google_generative import WIRE
from gateway.wire.google_generative.profile import generation_of
from gateway.wire.model import ModelSpec
from gateway.wire.unsupported import unsupported

_FOREIGN_SIGNATURE = "skip_thought_signature_validator"
"""Google's documented value for calls that another model made."""

_OWN_FILES = ("gs://", "https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/")
_AUDIO = {"mp3": "audio/mp3", "wav": "audio/wav"}

Place = Literal["call", "text", "thought"]


def signed(on: Place, call_id: str | None = None) -> Extras:
    """The extras of a block of reasoning: the part that its signature belongs to. A `text` is the one before it."""
    return Extras(WIRE, {"on": on, "call": call_id} if call_id else {"on": on})


def contents_of(messages: Iterable[Message], model: ModelSpec) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The parts of the system instruction, and the contents.

    Leading system messages are the instruction, later ones are the user's text at their place. Roles alternate, but the
    results of a step are a content of their own with one response per call. Raises UpstreamError of the kind
    UNSUPPORTED for what the format can't carry.
    """
    encoder = _Encoder(model)
    for message in messages:
        encoder.add(message)
    encoder.end_step()
    return encoder.system, encoder.contents


class _Encoder:
    def __init__(self, model: ModelSpec) -> None:
        self.system: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []
        self._owner = Owner(WIRE, model.provider, model.id)
        self._generation = generation_of(model.id)
        self._names: dict[str, str] = {}
        self._unanswered: dict[str, str] = {}  # the calls of the last step without a result: id → name
        self._responses: list[dict[str, Any]] = []
        self._media: list[dict[str, Any]] = []  # of the results, for models that read them in no response

    def add(self, message: Message) -> None:
        """The next message."""
        match message.role:
            case "system" | "developer" if not self.contents:
                self.system += self._contents(message.parts)
            case "tool" | "function":
                for part in message.parts:
                    self._result(part, message)
            case "assistant":
                self.end_step()
                self._append("model", self._model_parts(message.parts))
            case _:
                self.end_step()
                self._append("user", self._contents(message.parts))

    def end_step(self) -> None:
        """Another message than a result follows: write the results of the last step."""
        for call_id, name in self._unanswered.items():
            self._respond(call_id, name, {"error": NO_RESULT}, [])
        self._unanswered.clear()
        if self._responses:
            self.contents.append({"role": "user", "parts": self._responses})
            self._responses = []
        if self._media:
            media, self._media = self._media, []
            self.contents.append({"role": "user", "parts": [{"text": "From the results above:"}, *media]})

    def _append(self, role: str, parts: list[dict[str, Any]]) -> None:
        if not parts:
            return
        last = self.contents[-1] if self.contents else None
        if last is not None and last["role"] == role and "functionResponse" not in last["parts"][0]:
            last["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _model_parts(self, message: tuple[Part, ...]) -> list[dict[str, Any]]:
        """The parts of the model in its order, each with its signature."""
        own = [part for part in message if type(part) is Thinking and part.owner == self._owner]
        on_calls = {
            call_id: block.signature
            for block in own
            if block.signature and (call_id := block.extras.of(WIRE).get("call")) is not None
        }
        parts: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        for part in message:
            if type(part) is Thinking:
                if part.owner == self._owner:
                    self._thinking(part, parts)
            elif type(part) is ToolCall:
                encoded = self._call(part, on_calls.get(part.id))
                calls.append(encoded)
                parts.append(encoded)
            elif (content := self._content(part)) is not None:
                parts.append(content)
        if calls and self._generation.signs_calls and "thoughtSignature" not in calls[0]:
            calls[0]["thoughtSignature"] = _FOREIGN_SIGNATURE
        return parts

    def _thinking(self, block: Thinking, parts: list[dict[str, Any]]) -> None:
        on = block.extras.of(WIRE).get("on")
        if block.text:
            thought: dict[str, Any] = {"text": block.text, "thought": True}
            if block.signature and on == "thought":
                thought["thoughtSignature"] = block.signature
            parts.append(thought)
        if block.signature and on == "text":
            if not parts or "text" not in parts[-1] or "thought" in parts[-1] or "thoughtSignature" in parts[-1]:
                parts.append({"text": ""})
            parts[-1]["thoughtSignature"] = block.signature

    def _call(self, call: ToolCall, signature: str | None) -> dict[str, Any]:
        self._names[call.id] = self._unanswered[call.id] = call.name
        part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": arguments_object(call)}}
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _result(self, part: Part, message: Message) -> None:
        if not isinstance(part, ToolResult):
            self._append("user", self._contents((part,)))
            return
        texts = [one.text for one in part.content if isinstance(one, Text | Refusal)]
        others: list[Content] = [one for one in part.content if not isinstance(one, Text | Refusal)]
        media = self._contents(others)
        text = "\n".join(texts)
        self._unanswered.pop(part.call_id, None)
        name = self._names.get(part.call_id) or message.name
        if name is None:  # its call is no longer part of the conversation, and Google refuses a response without one
            self.end_step()
            self._append("user", [{"text": f"Result of an earlier tool call: {text}"}, *media])
            return
        self._respond(part.call_id, name, {"error" if part.is_error else "output": text}, media)

    def _respond(self, call_id: str, name: str, response: dict[str, Any], media: list[dict[str, Any]]) -> None:
        fields: dict[str, Any] = {"id": call_id, "name": name, "response": response}
        if media and self._generation.media_in_results:
            fields["parts"] = media
        else:
            self._media += media
        self._responses.append({"functionResponse": fields})

    def _contents(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        return [content for part in parts if (content := self._content(part)) is not None]

    def _content(self, part: Part) -> dict[str, Any] | None:
        """One part other than a call or a thought; None for what is not sent."""
        match part:
            case Text() | Refusal():
                return {"text": part.text} if part.text else None
            case Image(url):
                return _image(url)
            case Audio(data, form):
                return {"inlineData": {"mimeType": _AUDIO.get(form, f"audio/{form}"), "data": data}}
            case File(_, mime, data, url):
                if data is not None:
                    return {"inlineData": {"mimeType": mime or "application/pdf", "data": data}}
                return _by_uri(url or "", mime, "files by URL")
            case Foreign(wire, payload):
                if wire == WIRE:
                    return dict(payload)
                raise unsupported(WIRE, f"parts of type {payload.get('type')!r}")
            case Thinking() | ToolCall() | ToolResult() | Citation():
                return None  # encoded elsewhere, or about text that is sent anyway


def _image(url: str) -> dict[str, Any]:
    head, comma, data = url.partition(",")
    if comma and head[:5].lower() == "data:" and head.lower().endswith(";base64"):
        return {"inlineData": {"mimeType": head[5:].partition(";")[0] or "image/png", "data": data}}
    return _by_uri(url, None, "images by URL")


def _by_uri(url: str, mime: str | None, what: str) -> dict[str, Any]:
    """A file that Google itself holds or fetches."""
    if not url.startswith(_OWN_FILES):
        raise unsupported(WIRE, what)
    return {"fileData": {"fileUri": url, "mimeType": mime} if mime else {"fileUri": url}}
