"""The quirks of one endpoint or model behind the Responses format, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.wire.efforts import nearest_effort
from gateway.wire.model import ModelSpec

_NAMES = {
    "supports_tool_choice": "tool_choice",
    "supports_parallel_tool_calls": "parallel_tool_calls",
    "supports_developer_role": "developer_role",
    "supports_store": "store",
    "supports_temperature": "temperature",
    "supports_reasoning_effort": "effort",
    "supports_prompt_cache_key": "cache_key",
    "supports_unknown_fields": "unknown_fields",
    "supports_pdf_input": "pdfs",
}
"""The name of a quirk in a row → the field of Profile. Other names are other formats', or the gateway's own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an endpoint accepts. The defaults are OpenAI's, but for `pdfs`.

    `developer_role`: knows the role `developer`, else it is sent as `system`. `tool_choice`,
    `parallel_tool_calls`, `store`, `temperature` (and `top_p`), `effort`, `cache_key`: understands those fields.
    `pdfs`: its models that see images read PDFs as they are. `unknown_fields`: tolerates request fields of the client's
    own. `efforts`: the efforts that the model knows, empty if unknown. `effort_map`: an effort of the client → one of
    the model.
    """

    developer_role: bool = True
    tool_choice: bool = True
    parallel_tool_calls: bool = True
    store: bool = True
    temperature: bool = True
    effort: bool = True
    cache_key: bool = True
    unknown_fields: bool = True
    pdfs: bool = False
    efforts: tuple[str, ...] = ()
    effort_map: Mapping[str, str] = field(default_factory=dict)

    def named_effort(self, effort: str) -> str:
        """The model's name of the client's effort, or of the nearest that the model knows."""
        return self.effort_map.get(effort) or nearest_effort(effort, self.efforts)


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    given = {_NAMES[name]: value for name, value in quirks.items() if name in _NAMES and value is not None}
    efforts, effort_map = quirks.get("supported_reasoning_efforts"), quirks.get("reasoning_effort_map")
    if isinstance(efforts, tuple | list):
        given["efforts"] = tuple(map(str, efforts))
    if isinstance(effort_map, Mapping):
        given["effort_map"] = {str(name): str(value) for name, value in effort_map.items()}
    return replace(DEFAULT, **given)  # type: ignore[arg-type]  # rows are checked where they are read


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT
