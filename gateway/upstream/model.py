"""What a row's quirks say of a model: the gateway's own part, and the profile of its wire format."""

from collections.abc import Mapping

from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from gateway.wire.schema_profile import schema_profile


def model_from(model_id: str, wire: str, quirks: Mapping[str, object]) -> ModelSpec:
    """The model, with `quirks` named as in `compat`, in snake case; a missing one has the format's default."""
    return ModelSpec(
        model_id,
        tools=quirks.get("supports_tools") is not False,
        accepts_prefill=quirks.get("accepts_prefill") is True,
        own_tools=UPSTREAMS[wire].own_tools != "none" and quirks.get("supports_own_tools") is not False,
        profile=UPSTREAMS[wire].profile(quirks),
        tool_schemas=schema_profile(quirks.get("tool_schema_profile"), quirks.get("unsupported_tool_schema_keywords")),
    )
