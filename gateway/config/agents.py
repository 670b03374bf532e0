"""`agents`: the agents by id, what they have in common, and which of them is the default one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.config import accepted
from gateway.config.memory import MemoryConfig, MemorySearchConfig
from gateway.config.params import RequestParams
from gateway.config.section import Count, PositiveCount, Section
from gateway.config.tools import ToolAccess
from gateway.core.names import is_agent_id


def _agent_id(name: str) -> str:
    name = name.strip().lower()
    if not is_agent_id(name):
        raise ValueError("is not an agent id: use a-z, 0-9, _ and -, at most 64 characters, a letter or digit first")
    return name


AgentId = Annotated[str, AfterValidator(_agent_id)]


ThinkingLevel = Literal["off", "minimal", "low", "medium", "high", "xhigh", "adaptive", "max"]


class ModelChoice(Section):
    """`model`: `"provider/model"`, or `{primary, fallbacks}`. A plain string has no fallbacks (as in OpenClaw)."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MODEL_CHOICE

    primary: Annotated[str, Field(min_length=1)] | None = None
    fallbacks: tuple[Annotated[str, Field(min_length=1)], ...] = ()


def _choice(value: object) -> object:
    return {"primary": value} if isinstance(value, str) else value


class ModelSettings(Section):
    """One entry of `models`, for a `provider/model`: a short name, and what the agent asks of it."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MODEL_SETTINGS

    alias: str | None = None
    params: RequestParams = Field(default_factory=dict)
    thinking: str | bool | None = None
    """The level of thinking, as in `params`, which win."""


class ModelPolicy(Section):
    """Which models `x-openclaw-model` may name: refs, aliases, `provider/*`; None or empty allows every one."""

    allow: tuple[str, ...] | None = None


class AgentSettings(Section):
    """The keys of `agents.defaults` and of each agent. Unset keys of an agent come from the defaults."""

    UNUSED: ClassVar[frozenset[str]] = accepted.AGENT
    INERT: ClassVar[frozenset[str]] = frozenset({"name", "skip_bootstrap"})
    RENAMED: ClassVar[Mapping[str, str]] = MappingProxyType({"systemPromptOverride": "systemPrompt"})

    model: Annotated[ModelChoice, BeforeValidator(_choice)] | None = None
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    model_policy: ModelPolicy = ModelPolicy()
    params: RequestParams = Field(default_factory=dict)
    thinking_default: ThinkingLevel | None = None
    """The effort of models that reason, unless the client, `params` or `models` set one."""
    name: str | None = None
    workspace: str | None = None
    system_prompt: str | None = None
    """Ours; OpenClaw's older `systemPromptOverride` means the same."""
    bootstrap_max_chars: PositiveCount = 20_000
    bootstrap_total_max_chars: PositiveCount = 60_000
    skip_bootstrap: bool = False
    timeout_seconds: Count | None = None
    """Seconds for a whole run; 0 leaves only `gateway.retry` (as in OpenClaw)."""
    upstream_streaming: Literal["auto", "always", "never"] = "auto"
    """Ours: whether a whole answer is asked as a stream: `auto` while another model can be asked instead."""
    tools: ToolAccess = ToolAccess()
    """The tools of tool servers that this agent may run, among those that `tools` at the top level allows."""
    memory: MemoryConfig | None = None
    memory_search: MemorySearchConfig | None = None
    """OpenClaw's older name of `memory.search`."""

    def over(self, defaults: "AgentSettings") -> "AgentSettings":
        """These settings, with those of `defaults` for each key that is not set here."""
        own = self.model_fields_set & AgentSettings.model_fields.keys()
        return defaults.model_copy(update={name: getattr(self, name) for name in own})

    @property
    def embedding(self) -> MemorySearchConfig | None:
        """The embedding settings, under either name."""
        return self.memory.search if self.memory is not None else self.memory_search


class SystemAgentConfig(Section):
    """`systemAgent`: OpenClaw's owner of work that names no agent, here the default agent."""

    agent_id: AgentId | None = None


class AgentDefaults(AgentSettings):
    """`agents.defaults`."""

    system_agent: SystemAgentConfig = SystemAgentConfig()


class AgentEntry(AgentSettings):
    """One agent. `default` is OpenClaw's retired marker, still honoured."""

    default: bool = False


class AgentListItem(AgentEntry):
    """One item of the older `agents.list`."""

    id: AgentId


class AgentsConfig(Section):
    """`agents`. `entries` has the order of the file; without any there is one agent, called main."""

    UNUSED: ClassVar[frozenset[str]] = accepted.AGENTS
    INERT: ClassVar[frozenset[str]] = frozenset({"ownership"})

    default: AgentId | None = None
    """Ours: the agent behind `openclaw` and `openclaw/default`. Filled in: the one of `defaults.systemAgent`, else the
    one marked `default: true`, else the only one, else the one called main; None when that leaves none."""
    ownership: Literal["explicit", "implicit"] | None = None
    defaults: AgentDefaults = AgentDefaults()
    entries: dict[AgentId, AgentEntry] = Field(default_factory=dict)
    older_list: tuple[AgentListItem, ...] = Field(default=(), alias="list")
    """The older form; always empty once loaded, because its items are moved into `entries`."""

    @property
    def default_id(self) -> str:
        """The default agent; where nothing decides, the first marked one, else the first (as in OpenClaw)."""
        marked = (name for name, entry in self.entries.items() if entry.default)
        return self.default or next(marked, next(iter(self.entries)))

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        if _repeats(data):
            raise ValueError("holds the same id twice; write every agent once, under agents.entries")
        return gathered(data)


def gathered(data: dict[str, Any]) -> dict[str, Any]:
    """`agents` of the file, with `list` moved into `entries` and the default agent named.

    Malformed parts stay unchanged, so that problems name the path in the file.
    """
    items = data.get("list") or ()
    if not isinstance(items, list | tuple) or len(_ids(items)) < len(items) or _repeats(data):
        return data
    if not isinstance(data.get("entries", {}), dict):
        return data
    moved = {item["id"]: {key: value for key, value in item.items() if key != "id"} for item in items}
    entries = {**moved, **data.get("entries", {})} or {"main": {}}
    others = {key: value for key, value in data.items() if key != "list"}
    return {**others, "entries": entries, "default": data.get("default", _default_of(data, entries))}


def _ids(items: object) -> list[str]:
    items = items if isinstance(items, list | tuple) else ()
    return [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _repeats(data: dict[str, Any]) -> bool:
    entries = data.get("entries")
    ids = (*_ids(data.get("list")), *(entries if isinstance(entries, dict) else ()))
    return len({str(name).strip().lower() for name in ids}) < len(ids)


def _default_of(data: dict[str, Any], entries: dict[str, Any]) -> str | None:
    defaults = data.get("defaults")
    owner = defaults.get("systemAgent") if isinstance(defaults, dict) else None
    named = str(owner.get("agentId", "")).strip().lower() if isinstance(owner, dict) else ""
    if is_agent_id(named):
        return named
    marked = [name for name, entry in entries.items() if isinstance(entry, dict) and entry.get("default") is True]
    main = [name for name in entries if str(name).strip().lower() == "main"]
    candidates = marked or (list(entries) if len(entries) == 1 else main)
    return candidates[0] if len(candidates) == 1 and is_agent_id(str(candidates[0]).strip().lower()) else None
