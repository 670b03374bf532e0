"""`params`: what OpenClaw's names become as fields of a request."""

import pytest

from gateway.config import accepted

PROVIDER = "{models:{providers:{p:{baseUrl:'http://h/v1',models:[{id:'m',params:%s}]}}}}"
AGENT = "{agents:{defaults:{params:%s}}}"


def test_openclaws_names_become_those_of_the_fields(loaded):
    text = "{serviceTier:'flex',parallelToolCalls:false,textVerbosity:'low',safetyIdentifier:'a',top_k:5}"
    expected = {
        "service_tier": "flex",
        "parallel_tool_calls": False,
        "verbosity": "low",
        "safety_identifier": "a",
        "top_k": 5,
    }
    assert loaded(AGENT % text).config.agents.defaults.params == expected
    assert loaded(PROVIDER % text).config.models.providers["p"].models[0].params == expected


@pytest.mark.parametrize("name", ["extraBody", "extra_body"])
def test_the_fields_of_an_extra_body_are_fields_of_the_request(loaded, name):
    text = f"{{temperature:1,{name}:{{temperature:0,guided_choice:['a']}}}}"
    assert loaded(AGENT % text).config.agents.defaults.params == {"temperature": 0, "guided_choice": ["a"]}


def test_an_extra_body_that_is_no_object_is_refused(refused):
    assert refused(AGENT % "{extraBody:'x'}") == (
        "agents.defaults.params: has 'extraBody', which must be an object of request fields",
    )


def test_the_older_name_of_the_cache_retention_means_the_same(loaded):
    assert loaded(AGENT % "{cacheControlTtl:'1h'}").config.agents.defaults.params == {"cacheRetention": "long"}
    text = "{cacheRetention:'none',cacheControlTtl:'1h'}"
    assert loaded(AGENT % text).config.agents.defaults.params == {"cacheRetention": "none"}


@pytest.mark.parametrize(
    "text",
    [
        "temperature:'hot'",
        "temperature:true",
        "topP:'0.5'",
        "maxTokens:'many'",
        "maxTokens:1.5",
        "maxTokens:0",
        "seed:{}",
        "parallelToolCalls:'no'",
        "serviceTier:1",
    ],
)
def test_a_value_of_a_type_that_its_field_never_has_is_left_out_and_named(loaded, text):
    file = loaded(AGENT % f"{{{text},min_p:0.1,other:null}}")
    assert file.config.agents.defaults.params == {"min_p": 0.1}
    assert file.inert == (f"agents.defaults.params.{text.partition(':')[0]}",)


@pytest.mark.parametrize(("text", "path"), [(AGENT, "agents.defaults"), (PROVIDER, "models.providers.p.models[]")])
def test_settings_of_openclaws_runtime_are_left_out_and_named(loaded, text, path):
    names = sorted(accepted.PARAMS)
    file = loaded(text % ("{" + ",".join(f"{name}:true" for name in names) + ",top_k:1}"))
    assert file.inert == tuple(f"{path}.params.{name}" for name in names)
    params = file.config.agents.defaults.params or file.config.models.providers["p"].models[0].params
    assert params == {"top_k": 1}
