"""Reads the count of tokens in a provider's answer."""

import msgspec

from gateway.core.jsonio import InvalidJSON, StructDecoder
from gateway.wire.failures import malformed


class _Count(msgspec.Struct):
    input_tokens: int | None = None


class _GoogleCount(msgspec.Struct):
    totalTokens: int | None = None  # noqa: N815  as Google names it


_COUNT, _GOOGLE = StructDecoder(_Count), StructDecoder(_GoogleCount)


def input_tokens(body: bytes) -> int:
    """`input_tokens`, as Anthropic and OpenAI answer. Raises UpstreamError."""
    try:
        return _checked(_COUNT.read(body).input_tokens)
    except InvalidJSON as error:
        raise malformed(str(error), "count of tokens") from None


def total_tokens(body: bytes) -> int:
    """`totalTokens`, as Google answers. Raises UpstreamError."""
    try:
        return _checked(_GOOGLE.read(body).totalTokens)
    except InvalidJSON as error:
        raise malformed(str(error), "count of tokens") from None


def _checked(tokens: int | None) -> int:
    if tokens is None or tokens < 0:
        raise malformed("it holds no number of tokens", "count of tokens")
    return tokens
