"""Why an answer ended, for clients of this format."""

from collections.abc import Mapping
from typing import Any

from gateway.core.event import FinishReason

_REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_OWN: Mapping[str, FinishReason] = {"pause_turn": "stop", "model_context_window_exceeded": "length"}
"""Anthropic's reasons that say more than the neutral one."""


def end_fields(reason: FinishReason, raw: str | None, stop_sequence: str | None, refusal: str | None) -> dict[str, Any]:
    """`stop_reason`, `stop_sequence` and `stop_details`; `refusal` is the text of a refusal, if there was one."""
    stop = raw if raw is not None and _OWN.get(raw) == reason else _REASONS[reason]
    if reason == "stop" and stop_sequence is not None:
        stop = "stop_sequence"
    elif refusal and reason in ("stop", "content_filter"):
        stop = "refusal"
    details = {"type": "refusal", "category": None, "explanation": refusal or None} if stop == "refusal" else None
    return {"stop_reason": stop, "stop_sequence": stop_sequence, "stop_details": details}
