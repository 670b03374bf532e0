import pytest

PROVIDER = 'providers:{mock:{baseUrl:"http://h/v1"}}'


def test_a_primary_model_of_an_unknown_provider_is_refused(refused):
    agents = '{defaults:{model:"mok/small"},entries:{main:{model:{primary:"ghost/x"}}}}'
    text = f'{{models:{{mode:"replace",{PROVIDER}}},agents:{agents}}}'
    assert refused(text) == (
        "agents.defaults.model: there is no provider 'mok'; did you mean 'mock'?",
        "agents.entries.main.model: there is no provider 'ghost'; add it to models.providers",
    )


def test_a_fallback_of_an_unknown_provider_is_only_a_warning(loaded):
    agents = '{defaults:{model:{primary:"mock/a",fallbacks:["mock/b","ghost/x"]}}}'
    text = f'{{models:{{mode:"replace",{PROVIDER}}},agents:{agents}}}'
    assert loaded(text).warnings == (
        "agents.defaults.model.fallbacks[1]: there is no provider 'ghost'; add it to models.providers",
    )


@pytest.mark.parametrize("model", ["bare-id", "Mock/small", "built-in/x"])
def test_bare_names_own_providers_and_built_in_ones_are_known(loaded, model: str):
    text = f'{{models:{{{PROVIDER}}},agents:{{defaults:{{model:"{model}"}}}}}}'
    assert loaded(text, catalogue=["built-in"]).warnings == ()


def test_with_replace_the_built_in_providers_are_gone(refused):
    text = '{models:{mode:"replace"},agents:{defaults:{model:"built-in/x"}}}'
    assert refused(text, catalogue=["built-in"])[0].startswith("agents.defaults.model: there is no provider 'built-in'")


def test_without_a_catalogue_merged_names_are_not_judged(loaded):
    assert loaded('{agents:{defaults:{model:"anything/x"}}}').warnings == ()


def test_a_provider_that_is_not_built_in_needs_an_address(refused, loaded):
    text = "{models:{providers:{own:{apiKey:'k'},known:{apiKey:'k'}}}}"
    assert refused(text, catalogue=["known"]) == (
        "models.providers.own.baseUrl: is missing; only built-in providers have one of their own",
    )
    assert set(loaded(text).config.models.providers) == {"own", "known"}


def test_an_address_must_be_http(refused):
    text = "{models:{providers:{p:{baseUrl:'127.0.0.1:8000'}}}}"
    assert refused(text) == ("models.providers.p.baseUrl: must begin with http:// or https://",)


def test_an_unknown_wire_format_is_refused(refused):
    text = "{models:{providers:{p:{baseUrl:'http://h',api:'openai-completion',models:[{id:'a',api:'zzz'}]}}}}"
    first, second = refused(text)
    assert (
        first
        == "models.providers.p.api: there is no wire format 'openai-completion'; did you mean 'openai-completions'?"
    )
    assert second.startswith(
        "models.providers.p.models[0].api: there is no wire format 'zzz'; use one of openai-completions,"
    )


def test_a_wire_format_of_openclaw_that_is_not_spoken_is_a_warning(loaded):
    text = "{models:{providers:{p:{baseUrl:'http://h',api:'bedrock-converse-stream'}}}}"
    assert loaded(text).warnings == (
        "models.providers.p.api: bedrock-converse-stream is not spoken here; models of this provider can't be called",
    )


@pytest.mark.parametrize("name", ["a/b", " ", "a b"])
def test_a_provider_id_has_no_slash_or_space(refused, name: str):
    (problem,) = refused(f"{{models:{{providers:{{'{name}':{{}}}}}}}}")
    assert "is no provider id" in problem


def test_a_provider_id_is_lower_case_and_unique(loaded, refused):
    assert list(loaded("{models:{providers:{Mock:{baseUrl:'http://h'}}}}").config.models.providers) == ["mock"]
    (problem,) = refused("{models:{providers:{Mock:{},mock:{}}}}")
    assert problem.startswith("models.providers: holds the same id twice")
