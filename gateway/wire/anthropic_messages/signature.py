"""Carries a model's reasoning through clients of this format, which return it unchanged.

Claude's signatures and redacted data stay as they are: only Anthropic can make and verify them. What another model
needs back, and its owner, is sealed for the user in their place. The seal does not repeat the text of the block.
"""

from typing import Any

from msgspec import ValidationError, convert
from msgspec.structs import replace

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import NO_EXTRAS, Extras, Thinking
from gateway.core.message_json import write_part
from gateway.core.seal import OWN_PREFIXES, Seal
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.claude import OTHER, abilities_of

_CLIENTS = Extras(WIRE, {"signed": True})


def signature_of(block: Thinking, seal: Seal | None) -> str:
    """The signature for the client; empty if there is nothing to carry, or nothing to seal it with."""
    if _is_claudes(block) and block.signature is not None:
        return block.signature
    if seal is None or (block.owner is None and block.extras is NO_EXTRAS):
        return ""
    return seal.close(dumps(write_part(replace(block, text=""))))


def redacted_data(block: Thinking, seal: Seal | None) -> str | None:
    """The data of a block that has no text to show; None if the block is one of `thinking`."""
    if block.text or block.signature is not None or block.encrypted is None:
        return None
    return block.encrypted if _is_claudes(block) else signature_of(block, seal) or None


def read_thinking(text: str, signature: str, seal: Seal | None) -> Thinking | None:
    """The block that a client returns; None if it holds nothing.

    A signature without a seal may be Claude's, so the block goes to Claude as it is. A seal of another user, or an
    altered one, is left out: the model goes on without it.
    """
    if signature.startswith(OWN_PREFIXES):
        block = _unsealed(signature, seal)
        return Thinking(text) if block is None and text else block and replace(block, text=text)
    if signature:
        return Thinking(text, signature, extras=_CLIENTS)
    return Thinking(text) if text else None


def read_redacted(data: str, seal: Seal | None) -> Thinking | None:
    """The redacted block that a client returns; see `read_thinking`."""
    if data.startswith(OWN_PREFIXES):
        return _unsealed(data, seal)
    return Thinking(encrypted=data, extras=_CLIENTS) if data else None


def is_from_client(block: Thinking) -> bool:
    """Whether a client sent the block with a signature that is not sealed."""
    return block.owner is None and bool(block.extras.of(WIRE).get("signed"))


def _is_claudes(block: Thinking) -> bool:
    owner = block.owner
    return owner is not None and owner.wire == WIRE and abilities_of(owner.model) is not OTHER


def _unsealed(text: str, seal: Seal | None) -> Thinking | None:
    data = None if seal is None else seal.open(text)
    if data is None:
        return None
    try:
        fields: Any = loads(data)
        return convert(fields, Thinking) if fields.get("type") == "thinking" else None
    except (InvalidJSON, ValidationError, AttributeError, ValueError):  # another version of the gateway sealed it
        return None
