"""The field in which a server expects the effort of reasoning (`compat.thinkingFormat`, OpenClaw's names).

OpenAI's `reasoning_effort` is the default. Others switch thinking on and off, and few of them know levels of it:

- `openrouter`: https://openrouter.ai/docs/use-cases/reasoning-tokens
- `deepseek`: https://api-docs.deepseek.com/guides/thinking_mode
- `zai`: https://docs.z.ai/guides/capabilities/thinking-mode
- `together`: https://docs.together.ai/docs/inference/chat/reasoning
- `qwen`: https://www.alibabacloud.com/help/en/model-studio/deep-thinking
- `qwen-chat-template`: a variable of the chat template, on vLLM and SGLang
"""

from collections.abc import Mapping
from typing import Any, Literal

from gateway.core.turn import Turn
from gateway.wire.efforts import OFF, Efforts
from gateway.wire.openai_chat import WIRE

ThinkingFormat = Literal["openai", "openrouter", "deepseek", "zai", "together", "qwen", "qwen-chat-template"]

LEVELS_IF_CONFIGURED = frozenset({"zai", "together"})
"""Formats whose servers know `reasoning_effort` for some models only: those whose row says so."""

_EFFORT = "reasoning_effort"
_ALTERNATIVES = ("effort", "max_tokens", "enabled")
"""What `reasoning` may hold one of."""


def write_effort(body: dict[str, Any], turn: Turn, name: ThinkingFormat, efforts: Efforts) -> None:
    """Replace `reasoning_effort` by the field of the format `name`. Nothing is sent where nobody asks for an effort, so
    that the server's default applies.

    The client's effort wins over what the operator has configured in `params`, and the format's own field, if the
    client has sent it, over both.
    """
    wanted = body.pop(_EFFORT, None)
    if isinstance(wanted, str):
        enabled = efforts.mapped.get(wanted, wanted) not in OFF
        level = efforts.of(wanted) if enabled and efforts.accepted else None
    elif (budget := turn.options.thinking_budget) is not None:  # of the Messages API; these formats have no such field
        enabled, level = budget > 0, None
    else:
        return
    client = turn.extras.of(WIRE)
    for field, (decided, defaults) in _fields(name, enabled=enabled, level=level, accepted=efforts.accepted).items():
        if field == "chat_template_kwargs":  # variables of the template, some of which have to do with other matters
            body[field] = {**defaults, **_object(body.get(field)), **decided, **_object(client.get(field))}
        elif field in client:
            body[field] = client[field]
        elif isinstance(decided, Mapping):
            others = {key: value for key, value in _object(body.get(field)).items() if key not in _ALTERNATIVES}
            body[field] = {**defaults, **others, **decided}
        else:
            body[field] = decided
    if level is not None and name in ("deepseek", "zai", "together"):
        body[_EFFORT] = level


def _fields(
    name: ThinkingFormat, *, enabled: bool, level: str | None, accepted: bool
) -> Mapping[str, tuple[Any, Mapping[str, Any]]]:
    """The field → what the effort decides of it, and what is sent beside that unless it is configured otherwise."""
    match name:
        case "openrouter":
            effort = (
                {"enabled": enabled} if level is None and (enabled or not accepted) else {"effort": level or "none"}
            )
            return {"reasoning": (effort, {})}
        case "together":
            return {"reasoning": ({"enabled": enabled}, {})}
        case "deepseek":
            return {"thinking": ({"type": "enabled" if enabled else "disabled"}, {})}
        case "zai":  # the reasoning of earlier turns stays in the context: the gateway sends it back
            beside = {"clear_thinking": False} if enabled else {}
            return {"thinking": ({"type": "enabled" if enabled else "disabled"}, beside)}
        case "qwen":
            return {"enable_thinking": (enabled, {})}
        case "qwen-chat-template":
            return {"chat_template_kwargs": ({"enable_thinking": enabled}, {"preserve_thinking": True})}
        case "openai":
            raise ValueError("the default format has no field of its own")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
