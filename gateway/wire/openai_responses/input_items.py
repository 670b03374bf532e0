"""`input` of a request → the items that are kept of it and listed again, in OpenAI's own form, each with a name."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.wire.openai_responses.item_id import input_id

_KINDS = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}

_STATUSES = ("in_progress", "completed", "incomplete")


def input_items(raw: Any, response: str) -> list[dict[str, Any]]:
    """The items; `raw` has been read as a conversation, so its shape is known."""
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}]
    return [_item(item, response, index) for index, item in enumerate(raw)]


def _item(item: Mapping[str, Any], response: str, index: int) -> dict[str, Any]:
    kind = str(item.get("type") or "message")
    made = input_id(_KINDS.get(kind, "item"), response, index)
    named = item.get("id")
    kept = {"type": kind, **item, "id": named if isinstance(named, str) and named else made}
    kept["type"] = kind
    if kind in ("message", "function_call", "function_call_output"):
        status = item.get("status")
        kept["status"] = status if status in _STATUSES else "completed"
    match kind:
        case "message":
            kept["content"] = _content(item.get("content"), "output" if item["role"] == "assistant" else "input")
        case "function_call_output":
            output = item.get("output")
            kept["output"] = output if isinstance(output, str) else _content(output, "input")
        case "reasoning":
            kept["summary"] = item.get("summary") or []
        case _:
            pass  # items of other services' tools stay as they are
    return kept


def _content(raw: Any, side: str) -> list[dict[str, Any]]:
    parts: Sequence[Any] = [{"type": "text", "text": raw}] if isinstance(raw, str) else raw
    return [_part(part, side) for part in parts]


def _part(part: Mapping[str, Any], side: str) -> dict[str, Any]:
    match part.get("type"):
        case "text" | "input_text" | "output_text" if side == "input":
            return {"type": "input_text", "text": part["text"]}
        case "text" | "input_text" | "output_text":
            marks = {"annotations": part.get("annotations") or [], "logprobs": part.get("logprobs") or []}
            return {"type": "output_text", "text": part["text"], **marks}
        case "input_image":
            source = part.get("source") or {}
            url = part.get("image_url") or source.get("url") or _data_uri(source, "image/png")
            return {"type": "input_image", "image_url": url, "detail": part.get("detail") or "auto"}
        case "input_file" if isinstance(source := part.get("source"), dict):
            name = part.get("filename") or source.get("filename")
            named = {"type": "input_file", **({"filename": name} if name else {})}
            if url := source.get("url"):
                return {**named, "file_url": url}
            return {**named, "file_data": _data_uri(source, "application/octet-stream")}
        case _:
            return dict(part)


def _data_uri(source: Mapping[str, Any], mime: str) -> str:
    return f"data:{source.get('media_type') or mime};base64,{source.get('data', '')}"
