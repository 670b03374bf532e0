"""Decodes Anthropic's content blocks, whole or in pieces."""

from msgspec import Raw

from gateway.core.event import Batch
from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.raw_text import is_empty, is_string, text_of
from gateway.wire.anthropic_messages.citations import read_citation
from gateway.wire.anthropic_messages.shapes import BLOCK, Block, Delta
from gateway.wire.block_builder import BlockBuilder
from gateway.wire.failures import malformed

_OWN_CONTENT = frozenset({None, "text", "thinking", "redacted"})


def add_block(blocks: BlockBuilder, raw: Raw, batch: Batch) -> None:
    """Add the events of a complete block. Raises MALFORMED."""
    block = _decoded(raw)
    if block.type == "text":
        if not is_string(block.text):
            raise malformed("a text block has no text")
        citations = [one for raw in block.citations or () if (one := read_citation(raw)) is not None]
        blocks.whole_text(block.text, citations, batch)
        return
    begin_block(blocks, raw, batch)
    blocks.end(batch)


def begin_block(blocks: BlockBuilder, raw: Raw, batch: Batch) -> None:
    """A block begins; some servers put the whole of a short block into its start. Raises MALFORMED."""
    block = _decoded(raw)
    match block.type:
        case "text":
            blocks.begin("text", batch)
            for citation in block.citations or ():
                blocks.cite(read_citation(citation))
            if is_string(block.text) and not is_empty(block.text):
                blocks.text(text_of(block.text), batch)
        case "thinking":
            blocks.begin("thinking", batch)
            blocks.think(block.thinking, batch)
            blocks.add_signature(block.signature)
        case "redacted_thinking":
            blocks.begin("redacted", batch)
            blocks.redact(block.data)
        case "tool_use":
            blocks.begin_call(block.id, block.name, bytes(block.input), batch)
        case _:
            blocks.begin_foreign(loads(raw), batch)


def add_delta(blocks: BlockBuilder, delta: Delta, batch: Batch, *, exact: bool) -> None:
    """More of the open block. `exact` text has no half of a surrogate pair. Raises MALFORMED."""
    match delta.type, blocks.kind:
        case "text_delta", ("text" | None) if delta.text:
            if blocks.kind is None:
                blocks.begin("text", batch)
            blocks.text(delta.text, batch, exact=exact)
        case "thinking_delta", "thinking":
            blocks.think(delta.thinking, batch)
        case "signature_delta", "thinking":
            blocks.add_signature(delta.signature)
        case "input_json_delta", "call":
            blocks.arguments(delta.partial_json, batch)
        case "input_json_delta", kind if kind not in _OWN_CONTENT:
            blocks.foreign_input(delta.partial_json)  # of a tool that the provider runs itself
        case "citations_delta", _:
            blocks.cite(read_citation(delta.citation))
        case (("thinking_delta" | "signature_delta" | "input_json_delta"), _):
            raise malformed(f"a {delta.type} arrived in a block of another type")
        case "text_delta", _ if delta.text:
            raise malformed("text arrived in a block of another type")
        case _:
            pass


def _decoded(raw: Raw) -> Block:
    try:
        return BLOCK.read(bytes(raw))
    except InvalidJSON as error:
        raise malformed(str(error)) from None
