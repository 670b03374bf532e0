"""docs/configuration.md and gateway.example.json5 say what the code does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from gateway.config.agents import AgentListItem, AgentsConfig, AgentSettings, ModelChoice
from gateway.config.load import load
from gateway.config.memory import MemorySearchConfig
from gateway.config.root import Config
from gateway.config.section import Section

ROOT = Path(__file__).parents[3]
NOTHING = "\N{EN DASH}"


def sections_in(annotation: Any) -> Iterator[tuple[str, type[Section]]]:
    """The sections that a field can hold, with the mark that a path gets for the container."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield "", annotation
    elif origin is Annotated:
        yield from sections_in(arguments[0])
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from sections_in(argument)
    elif origin is dict:
        yield from ((".*", section) for _, section in sections_in(arguments[1]))
    elif origin is tuple:
        yield from (("[]", section) for _, section in sections_in(arguments[0]))


def keys_of(model: type[Section], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        nested = [(mark, section) for mark, section in sections_in(field.annotation) if section is not ModelChoice]
        if not nested:
            yield key, field.get_default(call_default_factory=True)
        for mark, section in nested:
            yield from keys_of(section, f"{key}{mark}.")


def written_elsewhere(key: str) -> bool:
    """Keys that the page has in a sentence: older spellings, refused ones, and entries, which repeat the defaults."""
    if key == "gateway.roles" or key.startswith("agents.list[]") or ".memorySearch." in key:
        return True
    return key.startswith("agents.entries.*.") and key.split(".")[3] in SHARED


SHARED = {field.alias for field in AgentSettings.model_fields.values()}


def shown(default: Any) -> str:
    if default is None or default is PydanticUndefined:
        return NOTHING
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(default)}`"


def rows() -> dict[str, str]:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([a-z]+\.[^`]+)` \| (.+?) \| .+ \|$", page, re.MULTILINE))


def test_every_key_has_a_line_and_every_line_a_key():
    assert sorted(rows()) == sorted(key for key, _ in keys_of(Config) if not written_elsewhere(key))


def test_every_line_shows_the_real_default():
    real = {key: shown(default) for key, default in keys_of(Config) if not written_elsewhere(key)}
    assert real.pop("session.maintenance.pruneAfter") == f"`{7 * 24 * 3600}`"
    assert real.pop("gateway.state.keepResponses") == f"`{30 * 24 * 3600}`"
    assert {key: default for key, default in rows().items() if key in real} == real


def inert_in(model: type[Section], path: str = "", above: bool = False) -> Iterator[str]:
    """Documented keys without effect: those in `INERT`, and all inside such a section."""
    for name, field in model.model_fields.items():
        key, inert = f"{path}{field.alias or name}", above or name in model.INERT
        nested = [(mark, section) for mark, section in sections_in(field.annotation) if section is not ModelChoice]
        if inert and not nested:
            yield key
        for mark, section in nested:
            yield from inert_in(section, f"{key}{mark}.", inert)


def test_the_lines_of_keys_without_effect_and_no_others_say_so():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| `([a-z]+\.[^`]+)` \| .+ \| (.+) \|$", page, re.MULTILINE)
    marked = sorted(key for key, text in lines if "no effect" in text)
    assert marked == sorted(key for key in inert_in(Config) if not written_elsewhere(key))


def test_keys_in_sentences_exist():
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for word in ("gateway.roles", "agents.entries.*", "agents.list", "memorySearch", "systemPromptOverride"):
        assert f"`{word}" in page
    assert {field.annotation for field in AgentsConfig.model_fields.values()} >= {tuple[AgentListItem, ...]}
    assert MemorySearchConfig in {
        section for _, section in sections_in(AgentSettings.model_fields["memory_search"].annotation)
    }


def test_the_example_uses_only_keys_with_an_effect():
    env = {"OPENCLAW_GATEWAY_TOKEN": "token", "OPENAI_API_KEY": "key"}
    result = load(ROOT / "gateway.example.json5", env)
    assert (result.ignored, result.inert) == ((), ())
    assert result.config.agents.default == "main"
    assert result.config.models.providers["workshop"].models[0].compat.max_tokens_field == "max_tokens"


def test_the_example_needs_its_secrets_from_the_environment():
    text = (ROOT / "gateway.example.json5").read_text(encoding="utf-8")
    assert "${OPENCLAW_GATEWAY_TOKEN}" in text
    assert not re.search(r"sk-|token: \"(?!\$)", text)
