"""The names that callers and configurations use: agent targets and model references."""

import re
from dataclasses import dataclass
from functools import lru_cache

_AGENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class AgentTarget:
    """An agent as a caller names it; `id` None means the default agent."""

    id: str | None


@lru_cache(maxsize=1024)
def parse_agent_target(model: str) -> AgentTarget | None:
    """Read the `model` of a request: `openclaw`, `openclaw/default`, `openclaw/<id>`, `openclaw:<id>`, `agent:<id>`.

    Trimmed and case-folded, as recorded; None when it is no agent target. `openclaw:default` and `agent:default` name
    an agent that is called default, `openclaw/default` the default agent (recorded).
    """
    name = model.strip().lower()
    if name in ("openclaw", "openclaw/default"):
        return AgentTarget(None)
    for prefix in ("openclaw/", "openclaw:", "agent:"):
        if name.startswith(prefix):
            agent = name[len(prefix) :]
            return AgentTarget(agent) if _AGENT.fullmatch(agent) else None
    return None


def is_agent_id(name: str) -> bool:
    """Whether `name` is a well-formed agent id (lower case)."""
    return _AGENT.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """`provider/model`; the provider is case-folded, the model is the provider's own spelling and may hold slashes."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@lru_cache(maxsize=1024)
def parse_model_ref(text: str, default_provider: str) -> ModelRef | None:
    """Read `provider/model`, or a bare model id of `default_provider`.

    None when a half is empty (`mock/`, `///`), and for what could not be said in a header again.
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
