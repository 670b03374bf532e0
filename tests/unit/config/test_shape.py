import pytest

from gateway.config import accepted
from gateway.config.shape import nearest


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{gateway:{auth:{tokn:"x"}}}', "gateway.auth.tokn", "unknown key; did you mean 'token'?"),
        (
            "{gateway:{auth:{rateLimit:{max_attempts:1}}}}",
            "gateway.auth.rateLimit.max_attempts",
            "unknown key; did you mean 'maxAttempts'?",
        ),
        (
            "{models:{providers:{p:{baseurl:'http://h'}}}}",
            "models.providers.p.baseurl",
            "unknown key; did you mean 'baseUrl'?",
        ),
        ("{gateway:{retry:{zzz:1}}}", "gateway.retry.zzz", "unknown key; remove it"),
        (
            "{agents:{entries:{main:{modell:'a/b'}}}}",
            "agents.entries.main.modell",
            "unknown key; did you mean 'model'?",
        ),
        (
            "{agents:{list:[{id:'main',heartbeet:{}}]}}",
            "agents.list[0].heartbeet",
            "unknown key; did you mean 'heartbeat'?",
        ),
        (
            "{agents:{defaults:{models:{'a/b':{alais:'x'}}}}}",
            'agents.defaults.models["a/b"].alais',
            "unknown key; did you mean 'alias'?",
        ),
    ],
)
def test_a_typo_is_named_with_its_path_and_the_nearest_key(refused, text: str, path: str, expected: str):
    assert refused(text) == (f"{path}: {expected}",)


def test_a_typo_of_a_required_key_is_one_problem_only(refused):
    text = '{gateway:{trustedProxies:["10.0.0.1"],auth:{mode:"trusted-proxy",trustedProxy:{userheader:"x"}}}}'
    assert refused(text) == ("gateway.auth.trustedProxy.userheader: unknown key; did you mean 'userHeader'?",)


def test_keys_of_openclaw_without_effect_are_accepted_with_any_value(loaded):
    agent = ",".join(f'"{name}":"${{ABSENT}}"' for name in sorted(accepted.AGENT))
    gateway = ",".join(f'"{name}":{{any:["${{ABSENT}}"]}}' for name in sorted(accepted.GATEWAY))
    config = loaded(f"{{gateway:{{{gateway}}},agents:{{defaults:{{{agent}}}}}}}").config
    assert config == loaded().config.model_copy(update={"gateway": config.gateway})


def test_null_means_absent(loaded):
    config = loaded("{gateway:{port:null,http:{securityHeaders:{strictTransportSecurity:null}}},memory:null}").config
    assert config.gateway.port == 18789
    assert config.gateway.http.security_headers.strict_transport_security is None


def test_an_older_spelling_is_understood(loaded):
    config = loaded("{agents:{defaults:{systemPromptOverride:'Be brief.'}}}").config
    assert config.agents.defaults.system_prompt == "Be brief."


def test_both_spellings_of_one_key_are_refused(refused):
    text = "{agents:{defaults:{systemPrompt:'a',systemPromptOverride:'b'}}}"
    assert refused(text) == (
        "agents.defaults.systemPromptOverride: is another spelling of 'systemPrompt', which is set too; keep one",
    )


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("{gateway:{bind:'0.0.0.0'}}", "gateway.bind", "must be 'loopback', 'lan', 'tailnet', 'auto' or 'custom'"),
        ("{gateway:{port:0}}", "gateway.port", "must be at least 1"),
        ("{gateway:{port:70000}}", "gateway.port", "must be at most 65535"),
        ("{gateway:{port:1.5}}", "gateway.port", "must be a whole number"),
        ("{gateway:{stream:{rescue:'perhaps'}}}", "gateway.stream.rescue", "must be true or false"),
        (
            "{gateway:{stream:{holdBack:'some'}}}",
            "gateway.stream.holdBack",
            "must be 'none' or 'all', or must be a whole number",
        ),
        (
            "{gateway:{auth:{rateLimit:{global:true}}}}",
            "gateway.auth.rateLimit.global",
            "must be a whole number, or must be false",
        ),
        ("{gateway:{auth:{rateLimit:{windowMs:0}}}}", "gateway.auth.rateLimit.windowMs", "must be more than 0"),
        ("{gateway:{auth:{rateLimit:7}}}", "gateway.auth.rateLimit", "must be an object: { … }"),
        ("{gateway:{trustedProxies:[1]}}", "gateway.trustedProxies[0]", "must be a string"),
        (
            "{models:{providers:{p:{baseUrl:'http://h',models:[{}]}}}}",
            "models.providers.p.models[0].id",
            "is missing; add it",
        ),
        (
            "{models:{providers:{p:{baseUrl:'http://h',models:[{id:''}]}}}}",
            "models.providers.p.models[0].id",
            "must not be empty",
        ),
        (
            "{models:{providers:{p:{baseUrl:'http://h',timeoutSeconds:'soon'}}}}",
            "models.providers.p.timeoutSeconds",
            "must be a number",
        ),
        (
            "{session:{maintenance:{pruneAfter:'soon'}}}",
            "session.maintenance.pruneAfter",
            'is not a duration: write a number with a unit, such as "7d", "12h" or "30m"',
        ),
        ("{tools:{deny:'*'}}", "tools.deny", "must be a list: [ … ]"),
        ("{agents:{entries:[]}}", "agents.entries", "must be an object: { … }"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_it_must_be(refused, text: str, path: str, expected: str):
    assert refused(text) == (f"{path}: {expected}",)


def test_the_nearest_name_ignores_capitals_and_underscores():
    assert nearest("API_KEY", ["apiKey", "baseUrl"]) == "apiKey"
    assert nearest("zebra", ["apiKey", "baseUrl"]) is None
