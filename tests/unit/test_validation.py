"""The checks before a gateway listens: providers, model chains, installed requirements."""

from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.upstream.catalog import REFUSED
from gateway.upstream.embedded import MODEL
from gateway.upstream.row_problems import OTHER_FORMATS
from gateway.validation import validated
from gateway.wire import UPSTREAMS

LOCAL = f"{MODEL.provider}/{MODEL.chat_model}"
ON = "gateway:{auth:{token:'a-token'},http:{endpoints:{chatCompletions:{enabled:true}}}}"
NO_REFERENCE = "'own/' is not a model reference; write \"provider/model\""
NO_GHOST = "there is no provider 'ghost'; add it to models.providers with its baseUrl"
SERVED = ", ".join(UPSTREAMS)


def not_served(api: str) -> str:
    return f"the wire format {api!r} is not served: {REFUSED[OTHER_FORMATS[api]]}"


@pytest.fixture
def valid(tmp_path: Path):
    def from_text(text: str, env: dict[str, str] | None = None, **options: int):
        file = tmp_path / "openclaw.json"
        file.write_text(text, encoding="utf-8")
        return validated(file, {"OPENCLAW_STATE_DIR": str(tmp_path), **(env or {})}, **options)

    return from_text


@pytest.fixture
def problems(valid):
    def of(text: str, env: dict[str, str] | None = None, **options: int) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            valid(text, env, **options)
        return list(caught.value.problems)

    return of


def models(rows: str, model: str, mode: str = "merge") -> str:
    return f"{{{ON},models:{{mode:'{mode}',providers:{{{rows}}}}},agents:{{defaults:{{model:{model}}}}}}}"


OWN = "own:{baseUrl:'http://own/v1',models:[{id:'m'}]}"


def test_a_closed_list_of_providers_without_models_needs_a_model(problems):
    rows = "own:{baseUrl:'http://own/v1'}"
    assert problems(models(rows, "{}", mode="replace")) == [
        "agents.defaults.model: is missing, and so is that of main; set one of them"
    ]


def test_a_model_that_the_file_does_not_name_is_assumed_with_a_warning(valid):
    (warning,) = valid(models(OWN, "{}")).warnings
    assert warning == "agents.defaults.model: is missing, so own/m is asked; name a model here"


@pytest.mark.parametrize(
    "model",
    [
        "'own/m'",
        "'own/any-id'",
        "'OWN/m'",
        "'m'",
        "{primary:'own/m',fallbacks:['openai/gpt-5.4','ollama/x']}",
        f"'{LOCAL}'",
    ],
)
def test_models_of_configured_built_in_and_embedded_providers_are_valid(valid, model):
    assert valid(models(OWN, model), {"OPENAI_API_KEY": "k"}).warnings == ()


@pytest.mark.parametrize(
    ("rows", "model", "expected"),
    [
        (
            OWN,
            "'ghost/x'",
            [f"agents.defaults.model: {NO_GHOST}"],
        ),
        (OWN, "'openi/x'", ["agents.defaults.model: there is no provider 'openi'; did you mean 'openai'?"]),
        (OWN, "'own/'", ["agents.defaults.model: 'own/' is not a model reference; write \"provider/model\""]),
        (
            OWN,
            "'another'",
            [
                (
                    "agents.defaults.model: 'another' names no provider, and no configured one lists it; write "
                    '"provider/model"'
                )
            ],
        ),
        (
            OWN,
            "'local/another'",
            [f"agents.defaults.model: the embedded provider has only one chat model: {LOCAL}"],
        ),
        (
            "p:{baseUrl:'http://h',api:'pi-messages'}",
            "'p/m'",
            [f"models.providers.p.api: {not_served('pi-messages')}"],
        ),
        (
            "p:{baseUrl:'http://h',api:'openai-completion'}," + OWN,
            "'own/m'",
            ["models.providers.p.api: there is no wire format 'openai-completion'; did you mean 'openai-completions'?"],
        ),
        (
            "p:{baseUrl:'http://h',models:[{id:'a'},{id:'b',api:'zzz'}]}",
            "'p/a'",
            [f"models.providers.p.models[1].api: there is no wire format 'zzz'; use one of: {SERVED}"],
        ),
        (
            "p:{apiKey:'k'}",
            "'p/m'",
            ["models.providers.p.baseUrl: is missing; only built-in providers have a default"],
        ),
        (
            "p:{baseUrl:'127.0.0.1:8000'}",
            "'p/m'",
            [
                (
                    "models.providers.p.baseUrl: is not an http or https URL with a host; "
                    "write one such as https://host/v1"
                )
            ],
        ),
        (
            "p:{baseUrl:'http://h',auth:'oauth'},q:{baseUrl:'http://h',auth:'aws-sdk'}",
            "'p/m'",
            [
                'models.providers.p.auth: "oauth" logins are not supported; use an API key',
                'models.providers.q.auth: "aws-sdk" logins are not supported; use an API key',
            ],
        ),
        (
            (
                "p:{baseUrl:'http://h',request:{proxy:{mode:'explicit-proxy',tls:{}},tls:{ca:'c'},"
                "auth:{mode:'header',headerName:'x'}}}"
            ),
            "'p/m'",
            [
                'models.providers.p.request.auth.value: is missing, while mode is "header"; set it',
                'models.providers.p.request.proxy.url: is missing, while mode is "explicit-proxy"; set it',
                "models.providers.p.request.tls: ca is not a list of certificates in PEM form",
            ],
        ),
    ],
)
def test_an_unusable_provider_model_or_fallback_is_a_problem_at_its_path(problems, rows, model, expected):
    assert problems(models(rows, model)) == expected


@pytest.mark.parametrize(
    ("row", "api"),
    [
        ("ollama:{baseUrl:'http://elsewhere:21999',api:'pi-messages',apiKey:'private'}", "pi-messages"),
        ("openai:{baseUrl:'http://elsewhere:21999/v1',api:'openai-chatgpt-responses'}", "openai-chatgpt-responses"),
        ("google:{baseUrl:'https://elsewhere/v1beta',api:'pi-messages'}", "pi-messages"),
        ("lmstudio:{api:'github-copilot'}", "github-copilot"),
    ],
)
def test_a_configured_row_that_can_not_be_used_is_never_replaced_by_the_built_in_one(problems, row, api):
    name = row.partition(":")[0]
    assert problems(models(row, f"'{name}/m'")) == [f"models.providers.{name}.api: {not_served(api)}"]


def test_problems_of_an_agent_are_at_the_path_where_its_model_is_written(problems):
    agents = "{defaults:{model:'own/m'},default:'a',entries:{a:{model:'ghost/x'},b:{model:{fallbacks:['own/']}}}}"
    text = f"{{{ON},models:{{providers:{{{OWN}}}}},agents:{agents}}}"
    assert problems(text) == [
        f"agents.entries.a.model: {NO_GHOST}",
        f"agents.entries.b.model.fallbacks[0]: {NO_REFERENCE}",
    ]


def test_a_fallback_at_an_unknown_provider_is_left_out_with_a_warning(valid):
    text = models(OWN, "{primary:'own/m',fallbacks:['own/n','ghost/x']}")
    assert f"agents.defaults.model.fallbacks[1]: {NO_GHOST}" in valid(text).warnings


def test_aliases_are_names_of_models(valid):
    agents = (
        "{defaults:{model:{primary:'fast',fallbacks:['Slow']},models:{'own/m':{alias:'FAST'},'own/n':{alias:'slow'}}}}"
    )
    text = f"{{{ON},models:{{providers:{{{OWN}}}}},agents:{agents}}}"
    assert [str(ref) for ref in valid(text).directory.default.candidates] == ["own/m", "own/n"]
    (warning, *_) = valid(text.replace("'own/n':", "'ghost/n':")).warnings
    assert warning.startswith("agents.defaults.model.fallbacks[0]: there is no provider 'ghost'")


def test_a_bare_model_id_is_that_of_the_one_provider_that_lists_it(valid):
    rows = OWN + ",two:{baseUrl:'http://two/v1',models:[{id:'n'}]}"
    assert str(valid(models(rows, "'n'")).directory.default.candidates[0]) == "two/n"
    assert str(valid(models(rows, "'gpt'"), {"OPENAI_API_KEY": "k"}).directory.default.candidates[0]) == "openai/gpt"


def test_with_replace_the_built_in_providers_are_gone(problems):
    assert problems(models(OWN, "'openai/x'", "replace")) == [
        "agents.defaults.model: there is no provider 'openai'; add it to models.providers with its baseUrl"
    ]
    assert problems(models("openai:{apiKey:'k'}", "'openai/x'", "replace")) == [
        "models.providers.openai.baseUrl: is missing; only built-in providers have a default"
    ]
    assert problems(models(OWN, f"'{LOCAL}'", "replace")) == [
        "agents.defaults.model: there is no provider 'local'; add it to models.providers with its baseUrl"
    ]


def test_a_limit_names_providers_that_exist(problems):
    text = models(OWN, "'own/m'").replace("http:{", "limits:[{models:['own/*','olama/*'],concurrentRuns:1}],http:{")
    assert problems(text) == ["gateway.limits[0].models[1]: there is no provider 'olama'; did you mean 'ollama'?"]


def test_several_workers_need_redis(valid, problems):
    text = models(OWN, "'own/m'")
    assert problems(text, workers=2) == [
        (
            "gateway.redis.url: is missing, while --workers is 2, and workers share limits and state through Redis; "
            "set it or OPENCLAW_REDIS_URL, or omit --workers"
        )
    ]
    assert valid(text, {"OPENCLAW_REDIS_URL": "redis://h"}, workers=2)


def test_every_kind_of_problem_is_listed_at_once(problems):
    text = (
        "{gateway:{zzz:1,port:'x',bind:'tailnet',auth:{mode:'password'},limits:[{}]},"
        "models:{providers:{p:{baseUrl:'http://h',api:'pi-messages'},q:{baseUrl:'ftp://h',headers:{a:'${ABSENT}'}}}},"
        "agents:{defaults:{model:'ghost/x',modle:1}},mcp:{servers:{s:{}}}}"
    )
    assert [problem.partition(":")[0] for problem in problems(text, workers=2)] == [
        "gateway.zzz",
        "models.providers.q.headers.a",
        "agents.defaults.modle",
        "gateway.port",
        "gateway.auth.password",
        "gateway.bind",
        "gateway.limits[0]",
        "mcp.servers.s",
        "models.providers.p.api",
        "models.providers.q.baseUrl",
        "gateway.redis.url",
    ]


def test_the_environment_of_the_file_supplies_keys_of_built_in_providers(valid):
    text = models("", "'groq/x'").replace("{", "{env:{vars:{GROQ_API_KEY:'from-the-file'}},", 1)
    assert valid(text).providers["groq"].api_key == "from-the-file"


def test_endpoints_that_are_off_are_a_warning(valid):
    text = models(OWN, "'own/m'").replace("chatCompletions:{enabled:true}", "")
    assert valid(text).warnings == (
        (
            "gateway.http.endpoints: no endpoint is enabled, so every API request is answered with 404; "
            "set chatCompletions.enabled, responses.enabled or messages.enabled, or start with --endpoints "
            "chat,responses,messages"
        ),
    )


def test_a_makers_id_at_another_address_without_a_format_is_a_warning(valid):
    def warned(row):
        return valid(models(f"anthropic:{{apiKey:'k',models:[{{id:'m'}}],{row}}}", "'anthropic/m'")).warnings

    assert warned("baseUrl:'http://proxy.example/anthropic'") == (
        (
            "models.providers.anthropic.api: is missing, so proxy.example:80 is asked in openai-completions; "
            'write it, or "anthropic-messages" if it has that of anthropic'
        ),
    )
    assert warned("baseUrl:'http://proxy.example/anthropic',api:'anthropic-messages'") == ()
    assert warned("baseUrl:'http://proxy.example/v1',api:'openai-completions'") == ()
    assert warned("baseUrl:'https://api.anthropic.com'") == ()


def test_an_unknown_provider_of_embeddings_is_a_warning(valid):
    text = models(OWN, "'own/m'").replace("{", "{memory:{search:{provider:'voyage'}},", 1)
    assert valid(text).warnings == (
        (
            "memory.search.provider: agent main can't make embeddings: there is no provider 'voyage'; "
            "add it to models.providers with its baseUrl"
        ),
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pw-url@",
        "http://user:pw-url",
        "http://[pw-url",
        "http://h:99999",
        "pw-url",
        "http://pw-url h/v1",
        "https://<pw-url>.h/v1",
        "https://h/{pw-url}/v1",
    ],
)
def test_a_malformed_address_is_a_problem_and_not_quoted(problems, url):
    rows = f"p:{{baseUrl:'http://h',models:[{{id:'a'}},{{id:'b',baseUrl:'{url}'}}]}},q:{{baseUrl:'{url}'}}"
    text = "is not an http or https URL with a host; write one such as https://host/v1"
    assert problems(models(rows, "'p/m'")) == [
        f"models.providers.p.models[1].baseUrl: {text}",
        f"models.providers.q.baseUrl: {text}",
    ]


def test_no_problem_quotes_a_secret(problems):
    row = "{baseUrl:'http://h',apiKey:'pw-key\\n',headers:{'X Y':'pw-header'}}"
    assert "pw-" not in "".join(problems(models(f"p:{row}", "'p/m'")))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("agents:{defaults:{model:'own/m'}}", []),
        ("agents:{defaults:{model:{primary:'own/m',fallbacks:['groq/x']}}}", ["groq"]),
        ("agents:{defaults:{model:'own/m',models:{'groq/x':{alias:'fast'}}}}", ["groq"]),
        ("agents:{defaults:{model:'own/m'},entries:{main:{modelPolicy:{allow:['groq/*']}}}}", ["groq"]),
        ("agents:{defaults:{model:'own/m'},entries:{main:{memorySearch:{provider:'Mistral'}}}}", ["mistral"]),
        ("agents:{defaults:{model:'own/m'}},memory:{search:{model:'openai/e'}}", ["openai"]),
    ],
)
def test_a_built_in_provider_that_is_not_named_and_has_no_key_can_not_be_called(valid, where, expected):
    providers = valid(f"{{{ON},models:{{providers:{{{OWN}}}}},{where}}}").providers
    assert sorted(providers) == sorted(["own", *expected])


def test_a_provider_whose_calls_are_signed_lacks_no_key(valid):
    text = f"{{{ON},agents:{{defaults:{{model:'amazon-bedrock/anthropic.claude-x'}}}}}}"
    (warning,) = valid(text).warnings
    assert warning.startswith("models.providers.amazon-bedrock.apiKey: is missing")
    assert valid(text, {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret"}).warnings == ()
