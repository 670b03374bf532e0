"""Tools whose schemas a server accepts."""

import pytest

from gateway.config.providers import ModelsConfig
from gateway.core.turn import ToolSpec, Turn
from gateway.upstream.configured import providers_from
from gateway.wire.model import ModelSpec

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "pattern": {"type": "string", "pattern": "^a$", "maxLength": 1999},
        "script": {"type": "string", "maxLength": 65536},
        "many": {"type": "array", "items": {"$ref": "#/$defs/one"}, "maxContains": 2},
    },
    "$defs": {"one": {"const": "a"}},
}


def model(name: str = "own", **compat: object) -> ModelSpec:
    row = {"baseUrl": "http://h/v1", "apiKey": "k", "models": [{"id": "m", "compat": compat}]}
    return providers_from(ModelsConfig.model_validate({"providers": {name: row}}), {})[name].model("m")


def sent(spec: ModelSpec, *tools: ToolSpec) -> tuple[ToolSpec, ...]:
    assert spec.tool_schemas is not None
    return spec.tool_schemas.accepted(Turn(model="openclaw", messages=(), tools=tools)).tools


def test_llama_cpp_gets_no_pattern_and_no_length_that_its_grammars_write_out():
    (tool,) = sent(model(toolSchemaProfile="llamacpp"), ToolSpec("look", parameters=SCHEMA))
    assert tool.parameters == {
        **SCHEMA,
        "properties": {
            "pattern": {"type": "string", "maxLength": 1999},
            "script": {"type": "string"},
            "many": SCHEMA["properties"]["many"],
        },
    }


def test_gemini_behind_another_api_gets_the_schema_that_googles_own_api_accepts():
    spec = model(toolSchemaProfile="gemini", unsupportedToolSchemaKeywords=["maxLength"])
    (tool,) = sent(spec, ToolSpec("look", parameters=SCHEMA))
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": "^a$"},
            "script": {"type": "string"},
            "many": {"type": "array", "items": {"type": "string", "enum": ["a"]}},
        },
    }


def test_xai_gets_no_counts_of_contained_items():
    (tool,) = sent(model(toolSchemaProfile="xai"), ToolSpec("look", parameters=SCHEMA))
    assert tool.parameters["properties"]["many"] == {"type": "array", "items": {"$ref": "#/$defs/one"}}


@pytest.mark.parametrize("profile", ["llamacpp", "xai"])
def test_a_tool_that_is_accepted_stays_the_same_object(profile):
    tools = (ToolSpec("look", parameters={"type": "object"}), ToolSpec("none"))
    assert all(a is b for a, b in zip(sent(model(toolSchemaProfile=profile), *tools), tools, strict=True))


@pytest.mark.parametrize("name", ["llamacpp", "lmstudio", "ollama", "xai"])
def test_built_in_servers_have_their_profile(name):
    spec = providers_from(ModelsConfig(), {}, {name})[name].model("some-model") if name != "xai" else None
    spec = spec or providers_from(ModelsConfig(), {"XAI_API_KEY": "k"}, {name})[name].model("some-model")
    assert spec.tool_schemas is not None
    assert spec.tool_schemas.name == ("xai" if name == "xai" else "llamacpp")


def test_a_server_that_accepts_every_schema_costs_nothing():
    assert model().tool_schemas is None
