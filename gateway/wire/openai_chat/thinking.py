"""Decodes and encodes a model's reasoning in chat completions messages.

OpenAI's format has no field for it; servers use four of their own, and expect back what they sent:

- `reasoning_content`: DeepSeek, Moonshot, SGLang, llama.cpp … (https://api-docs.deepseek.com/guides/thinking_mode)
- `reasoning`: OpenRouter, Groq, vLLM, Ollama
- `reasoning_details`: OpenRouter, objects with signatures or encrypted data, to be returned unchanged
  (https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks)

- `thinking_blocks`: LiteLLM, Anthropic's blocks with their signatures, beside `reasoning_content`
  (https://docs.litellm.ai/docs/reasoning_content)

Mistral puts it into `content` as parts of type `thinking`. A block's extras name the field that its text came in.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.message import NO_EXTRAS, Extras, Owner, Thinking
from gateway.wire.openai_chat import WIRE

_OBJECT_FIELDS = ("reasoning_details", "thinking_blocks")
"""Fields that hold objects, which go back unchanged."""
FIELDS = ("reasoning_content", "reasoning", *_OBJECT_FIELDS)
"""Fields of an assistant's message that hold reasoning."""

_TEXT_FIELDS = ("reasoning_content", "reasoning", "content")
_JOINED = ("text", "summary", "data", "signature", "thinking")
_Details = list[dict[str, Any]]


def fields_of(blocks: Iterable[Thinking], owner: Owner) -> dict[str, Any]:
    """The fields of a message that carry these blocks to the model `owner`.

    Only its own blocks go to a model; a block whose owner is unknown was sent by the client for it. Blocks that did not
    come in a field of this format have nothing to return. Extras may be what a client has made up.
    """
    texts: dict[str, str] = {}
    own: list[Thinking] = []
    for block in blocks:
        if block.owner is not None and block.owner != owner:
            continue
        extras = block.extras.of(WIRE)
        if (name := extras.get("field")) in _TEXT_FIELDS:
            texts[name] = texts.get(name, "") + block.text
        own.append(block)
    return {**texts, **_object_fields(own)}


def _object_fields(blocks: Iterable[Thinking]) -> dict[str, _Details]:
    fields: dict[str, _Details] = {}
    for block in blocks:
        extras = block.extras.of(WIRE)
        for name in _OBJECT_FIELDS:
            if objects := _objects(extras.get(name)):
                fields[name] = fields.get(name, []) + objects
    return fields


def reasoning_details(block: Thinking) -> _Details:
    """The block's `reasoning_details`, which a client of this format may send back.

    It gets no `thinking_blocks`: OpenAI's SDKs can't join a stream of objects without an `index`, and the gateway
    stores them with the call.
    """
    return _objects(block.extras.of(WIRE).get("reasoning_details"))


def read_fields(message: Mapping[str, Any]) -> Thinking | None:
    """The reasoning in a client's assistant message, without an owner; None if there is none."""
    field, text = None, ""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(value := message.get(name), str) and field is None:
            field, text = name, value
    objects = {name: _objects(message.get(name)) for name in _OBJECT_FIELDS}
    if field is None and not any(objects.values()):
        return None
    return Thinking(text, extras=_extras(field, objects))


class ThinkingReader:
    """Collects the reasoning of one streamed or whole answer, one block at a time."""

    __slots__ = ("_field", "_objects", "_texts", "open")

    def __init__(self) -> None:
        self.open = False
        self._field: str | None = None
        self._texts: list[str] = []
        self._objects: dict[str, _Details] = {}

    def feed(self, content: str | None, reasoning: str | None, details: Any, blocks: Any) -> str:
        """Add reasoning from the four fields of a delta; returns the text to show.

        Text that a server repeats in several fields is shown once.
        """
        text = content or reasoning or ""
        if text and self._field is None:
            self._field = "reasoning_content" if content else "reasoning"
        for name, given in (("reasoning_details", details), ("thinking_blocks", blocks)):
            if pieces := _objects(given):
                self._merge(name, pieces)
                text = text or "".join(_shown(piece) for piece in pieces)
        self.add(text)
        return text

    def add(self, text: str, field: str | None = None) -> None:
        """Add text to the block; `field` is the field that it came in, unless an earlier text has set it."""
        self.open = self.open or bool(text or self._objects)
        self._field = self._field or field
        self._texts.append(text)

    def close(self, owner: Owner) -> Thinking:
        """End the block and return it."""
        block = Thinking("".join(self._texts), owner=owner, extras=_extras(self._field, self._objects))
        self.open, self._texts, self._objects = False, [], {}
        return block

    def _merge(self, field: str, pieces: _Details) -> None:
        """More objects. The first may go on with the last one known: an object comes in pieces of several deltas."""
        known = self._objects.setdefault(field, [])
        last = known[-1] if known else None
        if last is not None and _continues(last, pieces[0]):
            piece, *pieces = pieces
            joined = {
                name: last[name] + piece[name]
                for name in _JOINED
                if isinstance(last.get(name), str) and isinstance(piece.get(name), str)
            }
            known[-1] = {**last, **{k: v for k, v in piece.items() if v is not None}, **joined}
        known += pieces


def _continues(last: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    """Whether a piece belongs to the detail before it: same type and index, and no other id. A signature ends one."""
    if any(last.get(name) != piece.get(name) for name in ("type", "index")):
        return False
    if last.get("signature") and piece.get("index") is None:
        return False
    return last.get("id") is None or piece.get("id") in (None, last["id"])


def _objects(value: Any) -> _Details:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _shown(detail: Mapping[str, Any]) -> str:
    text = detail.get("text") or detail.get("summary") or detail.get("thinking")
    return text if isinstance(text, str) else ""


def _extras(field: str | None, objects: Mapping[str, _Details]) -> Extras:
    fields: dict[str, Any] = {name: given for name, given in objects.items() if given}
    if field is not None:
        fields = {"field": field, **fields}
    return Extras(WIRE, fields) if fields else NO_EXTRAS
