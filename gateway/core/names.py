"""The names in requests and in the configuration: agent targets and model references."""

import re
from dataclasses import dataclass
from functools import lru_cache

CLAUDE_NAME = "claude-openclaw"
"""The default agent for clients that accept only names of Claude; `-<agent>` follows for the others."""

_AGENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class AgentTarget:
    """The agent that a request names. None as `id` means the default agent."""

    id: str | None


@lru_cache(maxsize=1024)
def parse_agent_target(model: str) -> AgentTarget | None:
    """Parse the `model` of a request: `openclaw`, `openclaw/default`, `openclaw/<id>`, `openclaw:<id>`, `agent:<id>`,
    or ours for clients that accept only names of Claude: `claude-openclaw`, `claude-openclaw-<id>`.

    The name is trimmed and case-folded (recorded). Returns None if it is not an agent target. `openclaw:default` and
    `agent:default` name an agent with the id `default`; `openclaw/default` names the default agent (recorded).
    """
    name = model.strip().lower()
    if name in ("openclaw", "openclaw/default", CLAUDE_NAME):
        return AgentTarget(None)
    for prefix in ("openclaw/", "openclaw:", "agent:", f"{CLAUDE_NAME}-"):
        if name.startswith(prefix):
            agent = name[len(prefix) :]
            return AgentTarget(agent) if _AGENT.fullmatch(agent) else None
    return None


def is_agent_id(name: str) -> bool:
    """Whether `name` is a valid agent id (lower case)."""
    return _AGENT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`provider/model`. The provider is case-folded. The model keeps its case and may contain slashes."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@lru_cache(maxsize=1024)
def parse_model_ref(text: str, default_provider: str) -> ModelRef | None:
    """Parse `provider/model`, or a bare model id of `default_provider`.

    Returns None if one half is empty (`mock/`, `///`), or if the text can't be a header value.
    """
    text = text.strip()
    if not text.isprintable():
        return None
    provider, slash, model = text.partition("/")
    if not slash:
        return ModelRef(default_provider, text) if text else None
    provider, model = provider.strip().lower(), model.strip()
    if not provider or not model or not model.strip("/"):
        return None
    return ModelRef(provider, model)
