"""A model at a provider: its limits and abilities, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.wire.schema_profile import SchemaProfile


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model at one provider: its id there, its limits (tokens), and its abilities.

    `max_tokens` is the length of an answer that is asked for unless the client asks for less, and `output_limit` the
    longest that the model can give, which only clients ask for; None when unknown. `images` is None when unknown, and
    images are then forwarded. A `reasoning` model may think for minutes before its first word. `accepts_prefill`: it
    continues a trailing assistant message. `own_tools`: its endpoint knows the tools of its wire format that are no
    functions. `profile` holds what only its wire format reads (`UpstreamFormat.profile`), None for that format's
    defaults. `provider` is the id of the provider's row. `tool_schemas`: what its endpoint refuses in the
    schemas of tools, None if it accepts every one. `params` are the operator's request fields, and `defaults` those of
    them that are settings of a turn (`gateway.core.params`).
    """

    id: str
    max_tokens: int | None = None
    context_window: int | None = None
    images: bool | None = None
    reasoning: bool = False
    tools: bool = True
    accepts_prefill: bool = False
    own_tools: bool = False
    profile: object = None
    params: Mapping[str, Any] | None = None
    provider: str = ""
    output_limit: int | None = None
    tool_schemas: SchemaProfile | None = None
    defaults: Mapping[str, Any] | None = None

    def clamp(self, tokens: int) -> int:
        """The client's cap on the answer, within what the model gives."""
        return min(tokens, self.max_tokens or tokens, self.output_limit or tokens)

    def named(self, model_id: str, provider: str) -> "ModelSpec":
        """The same abilities for another id: a model that no row lists."""
        return ModelSpec(
            model_id,
            self.max_tokens,
            self.context_window,
            self.images,
            self.reasoning,
            self.tools,
            self.accepts_prefill,
            self.own_tools,
            self.profile,
            self.params,
            provider,
            tool_schemas=self.tool_schemas,
            defaults=self.defaults,
        )


UNKNOWN_MODEL = ModelSpec("")
"""What is assumed of a model that nothing is known of; see `ModelSpec.named`."""
