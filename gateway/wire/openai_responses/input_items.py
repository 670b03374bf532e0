"""Encodes `input` of a request as stored items, in OpenAI's form, each with an id."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.wire.openai_responses.item_id import input_id

_KINDS = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}

_STATUSES = ("in_progress", "completed", "incomplete")


def input_items(raw: Any, response: str) -> list[dict[str, Any]]:
    """The items; `raw` must have passed `items.read_input`, which checks it."""
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}]
    return [_item(item, response, index) for index, item in enumerate(raw)]


def _item(item: Mapping[str, Any], response: str, index: int) -> dict[str, Any]:
    kind = str(item.get("type") or "message")
    new_id = input_id(_KINDS.get(kind, "item"), response, index)
    given_id = item.get("id")
    stored = {"type": kind, **item, "id": given_id if isinstance(given_id, str) and given_id else new_id}
    stored["type"] = kind
    if kind in ("message", "function_call", "function_call_output"):
        status = item.get("status")
        stored["status"] = status if status in _STATUSES else "completed"
    match kind:
        case "message":
            stored["content"] = _content(item.get("content"), "output" if item["role"] == "assistant" else "input")
        case "function_call_output":
            output = item.get("output")
            stored["output"] = output if isinstance(output, str) else _content(output, "input")
        case "reasoning":
            stored["summary"] = item.get("summary") or []
        case _:
            pass  # items of hosted tools are stored unchanged
    return stored


def _content(raw: Any, side: str) -> list[dict[str, Any]]:
    parts: Sequence[Any] = [{"type": "text", "text": raw}] if isinstance(raw, str) else raw
    return [_part(part, side) for part in parts]


def _part(part: Mapping[str, Any], side: str) -> dict[str, Any]:
    match part.get("type"):
        case "text" | "input_text" | "output_text" if side == "input":
            return {"type": "input_text", "text": part["text"]}
        case "text" | "input_text" | "output_text":
            details = {"annotations": part.get("annotations") or [], "logprobs": part.get("logprobs") or []}
            return {"type": "output_text", "text": part["text"], **details}
        case "input_image":
            source = part.get("source") or {}
            url = part.get("image_url") or source.get("url") or _data_uri(source, "image/png")
            return {"type": "input_image", "image_url": url, "detail": part.get("detail") or "auto"}
        case "input_file" if isinstance(source := part.get("source"), dict):
            name = part.get("filename") or source.get("filename")
            with_name = {"type": "input_file", **({"filename": name} if name else {})}
            if url := source.get("url"):
                return {**with_name, "file_url": url}
            return {**with_name, "file_data": _data_uri(source, "application/octet-stream")}
        case _:
            return dict(part)


def _data_uri(source: Mapping[str, Any], mime: str) -> str:
    return f"data:{source.get('media_type') or mime};base64,{source.get('data', '')}"
