"""An agent as a run needs it: its id, its models in order, and its prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.agents.prompt import Prompt
from gateway.agents.tool_limits import DEFAULT_LIMITS, ToolLimits
from gateway.core.names import ModelRef
from gateway.tools.registry import Toolset

UpstreamStreaming = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Agent:
    """One configured agent.

    `candidates` is the model chain, primary first. `allowed` limits `x-openclaw-model` to these references, or to all
    that begin like `provider/*` (None: any); `aliases` are short names of references. `params` are request fields
    that the agent sets unless the client does, and `model_params` those for one of its models, `params` included; where
    it has none, `params` hold. `embedding` answers `/v1/embeddings`, with `embedding_dimensions`
    unless the client sets them. `upstream_streaming`: when the provider is asked for a stream (`gateway.runs.round`).
    `timeout` (seconds) limits its runs. `toolset` are tools that it runs itself, within `tool_limits`.
    """

    id: str
    candidates: tuple[ModelRef, ...]
    prompt: Prompt
    allowed: frozenset[str] | None = None
    aliases: Mapping[str, ModelRef] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    model_params: Mapping[ModelRef, Mapping[str, Any]] = field(default_factory=dict)
    embedding: ModelRef | None = None
    embedding_dimensions: int | None = None
    upstream_streaming: UpstreamStreaming = "auto"
    timeout: float | None = None
    toolset: Toolset | None = None
    tool_limits: ToolLimits = DEFAULT_LIMITS

    def allows(self, ref: ModelRef) -> bool:
        """Whether `x-openclaw-model` may name this model."""
        name = str(ref)
        return (
            self.allowed is None
            or name in self.allowed
            or any(name.startswith(one[:-1]) for one in self.allowed if one.endswith("/*"))
        )

    def params_for(self, ref: ModelRef) -> Mapping[str, Any]:
        """The request fields that the agent sets for this model."""
        return self.model_params.get(ref, self.params) if self.model_params else self.params
