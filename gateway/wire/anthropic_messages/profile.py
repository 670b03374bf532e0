"""The quirks of one endpoint or model behind the Messages API, as a frozen value made at start.

What a Claude model accepts follows from its id (`models`); a quirk of the row replaces it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from gateway.wire.claude import Abilities, abilities_of
from gateway.wire.claude_thinking import with_efforts
from gateway.wire.efforts import ANY_EFFORT, Efforts, efforts_from
from gateway.wire.model import ModelSpec

_NAMES = {
    "supports_tool_choice": "tool_choice",
    "supports_parallel_tool_calls": "parallel_tool_calls",
    "supports_temperature": "sampling",
    "supports_json_schema_response_format": "json_schema",
    "supports_unknown_fields": "unknown_fields",
    "supports_block_binding": "block_binding",
    "accepts_prefill": "prefill",
}
"""The name of a quirk in a row → the field of Profile. Other names are other formats', or the gateway's own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an endpoint accepts; None means what the model's id says.

    `tool_choice`: understands that field; `parallel_tool_calls`: understands `disable_parallel_tool_use`. `efforts`:
    how it can be asked to reason. `unknown_fields`: tolerates request fields of the client's own. `block_binding`: can
    be asked to drop reasoning that it would refuse, after a change before it. The others are as in `Abilities`.
    """

    tool_choice: bool = True
    parallel_tool_calls: bool = True
    efforts: Efforts = ANY_EFFORT
    unknown_fields: bool = True
    block_binding: bool = False
    sampling: bool | None = None
    json_schema: bool | None = None
    prefill: bool | None = None

    def abilities(self, model: ModelSpec) -> Abilities:
        """What this model accepts at this endpoint. An unknown model that reasons takes a budget."""
        known = abilities_of(model.id)
        if model.reasoning and known.thinking == "none":
            known = replace(known, thinking="budget")
        if self.efforts is not ANY_EFFORT:
            known = with_efforts(known, self.efforts)
        if self.sampling is None and self.json_schema is None and self.prefill is None:
            return known
        own = {name: value for name in _REPLACED if (value := getattr(self, name)) is not None}
        return replace(known, **own)


_REPLACED = [field.name for field in fields(Profile) if field.default is None]
DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    given = {_NAMES[name]: value for name, value in quirks.items() if name in _NAMES and value is not None}
    return replace(DEFAULT, efforts=efforts_from(quirks), **given)  # type: ignore[arg-type]  # rows are checked where they are read


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT
