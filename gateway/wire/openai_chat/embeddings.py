"""Embeddings, towards clients and providers: https://platform.openai.com/docs/api-reference/embeddings.

`encoding_format` is sent only to providers whose compat declares base64 support. From others the gateway requests
floats and packs them itself, as little-endian float32 of the same numbers.
"""

import base64
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core.errors import BadRequest
from gateway.core.jsonio import InvalidJSON, StructDecoder, dumps
from gateway.wire.contract import EmbeddingInput, EmbeddingReply, EmbeddingRequest, WireRequest
from gateway.wire.failures import malformed, unreadable
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.profile import profile_of
from gateway.wire.openai_chat.schema import EmbeddingsRequest
from gateway.wire.openai_chat.usage import read_usage
from gateway.wire.openai_error import error_in
from gateway.wire.openai_unnamed_error import unnamed_error

_PATH = "/embeddings"
_INTEGERS = {int}  # True and False are not among them
_VECTOR_START = re.compile(rb'\[\s*-?[0-9]|"(?:[A-Za-z0-9+/]|\\/)')
"""How numbers and base64 begin. The rest is read where the client wants the other form."""
_TEXTS = "must be a string or an array of strings, or token ids in arrays"


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """Limits of a client's request: inputs, and UTF-16 units of one text and of all. A token id counts as one unit."""

    inputs: int = 2048
    units: int = 200_000
    total: int = 4_000_000


class _Vector(msgspec.Struct):
    embedding: msgspec.Raw
    index: int | None = None


class _Embeddings(msgspec.Struct):
    data: list[_Vector] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


# A vector's numbers are not decoded: the gateway does not read them, and their digits pass through unchanged.
_EMBEDDINGS = StructDecoder(_Embeddings)


class ChatEmbeddings:
    """See `gateway.wire.contract.EmbeddingsFormat`. `of_openai`: the server is OpenAI's, which takes token ids."""

    def __init__(self, *, of_openai: bool = False) -> None:
        self._of_openai = of_openai

    def max_inputs(self, model: ModelSpec) -> int:
        """See EmbeddingsFormat."""
        return profile_of(model).embedding_batch

    def takes_tokens(self, model: ModelSpec) -> bool:
        """See EmbeddingsFormat."""
        return self._of_openai or profile_of(model).embedding_tokens

    def paths(self) -> tuple[str, ...]:
        """See EmbeddingsFormat."""
        return (_PATH,)

    def request(self, request: EmbeddingRequest, model: ModelSpec) -> WireRequest:
        """See `build_request`."""
        return WireRequest(_PATH, build_request(request, model, of_openai=self._of_openai))

    def parse(self, body: bytes, expected: int) -> EmbeddingReply:
        """See `parse_reply`."""
        return parse_reply(body, expected)


def read_request(
    request: EmbeddingsRequest, limits: EmbeddingLimits, others: Mapping[str, Any] | None = None
) -> EmbeddingRequest:
    """Check inputs and format; `others` are fields that the schema does not list. Raises BadRequest."""
    inputs = _inputs(request.input, limits)
    dimensions = request.dimensions
    if dimensions is not None and (dimensions != int(dimensions) or dimensions <= 0):
        raise BadRequest("`dimensions`: must be a whole number above 0.", param="dimensions")
    if request.encoding_format not in (None, "float", "base64"):
        raise BadRequest('`encoding_format`: must be "float" or "base64".', param="encoding_format")
    return EmbeddingRequest(
        model=request.model or "",
        inputs=inputs,
        dimensions=None if dimensions is None else int(dimensions),
        base64=request.encoding_format == "base64",
        others={name: value for name, value in (others or {}).items() if value is not None and name != "user"},
    )


def _inputs(raw: Any, limits: EmbeddingLimits) -> tuple[EmbeddingInput, ...]:
    inputs = _as_inputs(raw)
    if not inputs or not any(inputs):
        raise BadRequest("`input` must contain at least one non-empty string.", param="input")
    if len(inputs) > limits.inputs:
        raise _too_much(f"Too many inputs (max {limits.inputs}", "maxInputs")
    total = 0
    for index, one in enumerate(inputs):
        units = _units(one)
        if units > limits.units:
            raise _too_much(f"Input too long (max {limits.units} chars", "maxInputChars", f"input[{index}]")
        total += units
    if total > limits.total:
        raise _too_much(f"Total input too large (max {limits.total} chars", "maxTotalChars")
    return inputs


def _as_inputs(raw: Any) -> tuple[EmbeddingInput, ...]:
    """The texts or lists of token ids, whatever their form."""
    if isinstance(raw, str):
        return (raw,)
    if isinstance(raw, list):
        if raw and set(map(type, raw)) == _INTEGERS:  # there may be hundreds of thousands
            return (tuple(raw),)
        inputs = tuple(tuple(one) if isinstance(one, list) else one for one in raw)
        if all(isinstance(one, str) or _are_tokens(one) for one in inputs):
            return inputs
    raise BadRequest(f"`input` {_TEXTS}.", param="input")


def _are_tokens(value: Any) -> bool:
    return isinstance(value, tuple) and set(map(type, value)) == _INTEGERS and min(value) >= 0


def _units(one: EmbeddingInput) -> int:
    if not isinstance(one, str) or one.isascii():
        return len(one)
    return len(one.encode("utf-16-le", "surrogatepass")) // 2


def _too_much(what: str, key: str, param: str = "input") -> BadRequest:
    return BadRequest(f"{what}; see gateway.http.endpoints.embeddings.{key}).", param=param)


def build_request(request: EmbeddingRequest, model: ModelSpec, *, of_openai: bool = False) -> bytes:
    """The provider's body. OpenAI itself knows no further fields of a client, and refuses them."""
    others = request.others if profile_of(model).unknown_fields and not of_openai else {}
    body: dict[str, Any] = {**others, "model": model.id, "input": request.inputs}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.base64 and profile_of(model).embedding_base64:
        body["encoding_format"] = "base64"
    return dumps(body)


def parse_reply(body: bytes, expected: int) -> EmbeddingReply:
    """The provider's vectors in input order. Raises UpstreamError, also when their number is not `expected`."""
    try:
        answer = _EMBEDDINGS.read(body)
    except InvalidJSON as error:
        raise unreadable(error, body, "embeddings") from None
    if answer.error:
        raise error_in(answer.error)
    if answer.data is None and (unnamed := unnamed_error(body)) is not None:
        raise unnamed
    if answer.data is None or len(answer.data) != expected:
        raise malformed(f"it does not hold {expected} vectors", "embeddings")
    vectors: list[memoryview | None] = [None] * expected
    for position, item in enumerate(answer.data):
        index = position if item.index is None else item.index
        vector = memoryview(item.embedding)
        if not 0 <= index < expected or vectors[index] is not None or not _VECTOR_START.match(vector):
            raise malformed("a vector is missing, or is neither numbers nor base64", "embeddings")
        vectors[index] = vector
    usage = read_usage(answer.usage or {})
    return EmbeddingReply([vector for vector in vectors if vector is not None], usage.prompt, usage.total)


def render_reply(reply: EmbeddingReply, *, model: str, as_base64: bool) -> bytes:
    """The client's body in the requested encoding; floats keep the digits that the provider sent."""
    convert = packed if as_base64 else unpacked
    pieces: list[bytes | memoryview] = [b'{"object":"list","data":[']
    for index, vector in enumerate(reply.vectors):
        pieces += (
            b'%b{"object":"embedding","index":%d,"embedding":' % (b"," if index else b"", index),
            convert(vector),
            b"}",
        )
    usage = dumps({"prompt_tokens": reply.prompt_tokens, "total_tokens": reply.total_tokens})
    pieces.append(b'],"model":%b,"usage":%b}' % (dumps(model), usage))
    return b"".join(pieces)


def packed(vector: bytes | memoryview) -> bytes | memoryview:
    """A JSON string: base64 of little-endian float32. A vector that is already packed is returned unchanged."""
    if vector[:1] == b'"':
        return vector
    try:
        numbers = _NUMBERS.decode(vector)
        return dumps(base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode())
    except (ValueError, struct.error, OverflowError):
        raise malformed("a vector is neither numbers nor base64 of float32", "embeddings") from None


def unpacked(vector: bytes | memoryview) -> bytes | memoryview:
    """A JSON array of numbers. Some servers return base64 although the request asks for floats."""
    try:
        if vector[:1] == b"[":
            return vector
        raw = base64.b64decode(_TEXT.decode(vector), validate=True)
        return dumps(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (ValueError, struct.error):
        raise malformed("a vector is neither numbers nor base64 of float32", "embeddings") from None


_NUMBERS = msgspec.json.Decoder(list[float])
_TEXT = msgspec.json.Decoder(str)
