import json
from pathlib import Path

import pytest


def name_of(loaded, text: str, env: dict[str, str]) -> str | None:
    return (
        loaded(f"{{agents:{{entries:{{main:{{name:{json.dumps(text)}}}}}}}}}", env).config.agents.entries["main"].name
    )


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}", "a value b value"),
        ("$${NAME}", "${NAME}"),
        ("$${ABSENT:-x}", "${ABSENT:-x}"),
        ("${ABSENT:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${ABSENT:-}", ""),
        ("${NAME:-fallback}", "value"),
        ("${lower} $NAME {NAME} ${NAME:=x}", "${lower} $NAME {NAME} ${NAME:=x}"),
        ("${ABSENT:-${NAME}}", "${ABSENT:-value}"),
    ],
)
def test_variables_are_replaced(loaded, text: str, result: str):
    assert name_of(loaded, text, {"NAME": "value", "EMPTY": ""}) == result


def test_a_missing_variable_is_reported_with_the_path_of_its_key(refused):
    problems = refused('{models:{providers:{p:{baseUrl:"http://h",apiKey:"${ONE}${TWO}${ONE}"}}}}', {"TWO": ""})
    assert problems == (
        "models.providers.p.apiKey: environment variable ONE, TWO is not set; set it, or write ${ONE:-value}",
    )


def test_variables_work_in_numbers_lists_and_maps(loaded):
    text = """{gateway:{port:"${PORT}",trustedProxies:["${NET}"]},
        models:{providers:{p:{baseUrl:"http://h",headers:{"x-key":"${KEY}"},params:{deep:{er:["${KEY}",1,null]}}}}}}"""
    config = loaded(text, {"PORT": "8080", "NET": "10.0.0.0/8", "KEY": "k"}).config
    assert config.gateway.port == 8080
    assert config.gateway.trusted_proxies == ("10.0.0.0/8",)
    provider = config.models.providers["p"]
    assert provider.headers["x-key"].get_secret_value() == "k"
    assert provider.params == {"deep": {"er": ["k", 1, None]}}


def test_a_missing_variable_in_a_list_or_a_map_is_reported_once(refused):
    text = '{gateway:{trustedProxies:["${NET}","10.0.0.1"]},models:{providers:{p:{baseUrl:"http://h",headers:{a:"${KEY}"}}}}}'
    problems = refused(text)
    assert [problem.partition(":")[0] for problem in problems] == [
        "gateway.trustedProxies[0]",
        "models.providers.p.headers.a",
    ]


def test_a_provider_key_may_be_the_name_of_a_variable_that_is_set(loaded):
    text = '{models:{providers:{a:{baseUrl:"http://h",apiKey:"A_KEY"},b:{baseUrl:"http://h",apiKey:"B_KEY"}}}}'
    providers = loaded(text, {"A_KEY": "sk-a"}).config.models.providers
    assert providers["a"].api_key.get_secret_value() == "sk-a"
    assert providers["b"].api_key.get_secret_value() == "B_KEY"


def key_of(loaded, reference: object, secrets: object = None, env: dict[str, str] | None = None) -> str:
    text = {"models": {"providers": {"p": {"baseUrl": "http://h", "apiKey": reference}}}, "secrets": secrets}
    return loaded(json.dumps(text), env or {}).config.models.providers["p"].api_key.get_secret_value()


def refusal(refused, reference: object, secrets: object = None, env: dict[str, str] | None = None) -> str:
    text = {"models": {"providers": {"p": {"baseUrl": "http://h", "apiKey": reference}}}, "secrets": secrets}
    (problem,) = refused(json.dumps(text), env or {})
    assert problem.startswith("models.providers.p.apiKey: ")
    return problem.partition(": ")[2]


@pytest.mark.parametrize(
    "reference", [{"source": "env", "id": "KEY"}, {"source": "env", "provider": "default", "id": "KEY"}]
)
def test_a_reference_to_the_environment_is_resolved(loaded, reference: dict[str, str]):
    assert key_of(loaded, reference, env={"KEY": "k"}) == "k"


def test_a_reference_to_an_absent_variable_is_refused(refused):
    assert refusal(refused, {"source": "env", "id": "KEY"}) == "environment variable KEY is not set; set it"


def test_an_allowlist_of_variables_is_enforced(loaded, refused):
    secrets = {"providers": {"few": {"source": "env", "allowlist": ["KEY"]}}}
    env = {"KEY": "k", "OTHER": "o"}
    assert key_of(loaded, {"source": "env", "provider": "few", "id": "KEY"}, secrets, env) == "k"
    problem = refusal(refused, {"source": "env", "provider": "few", "id": "OTHER"}, secrets, env)
    assert problem == "OTHER is not in secrets.providers.few.allowlist; add it there"


def test_a_reference_into_a_file_follows_a_json_pointer(loaded, tmp_path: Path):
    (tmp_path / "keys.json").write_text(json.dumps({"providers": {"a/b": {"~": "k"}}}))
    secrets = {"providers": {"keys": {"source": "file", "path": "keys.json"}}, "defaults": {"file": "keys"}}
    assert key_of(loaded, {"source": "file", "id": "/providers/a~1b/~0"}, secrets) == "k"


def test_a_file_may_be_one_secret_as_a_whole(loaded, tmp_path: Path):
    (tmp_path / "key").write_text("k\n")
    secrets = {"providers": {"default": {"source": "file", "path": "${WHERE}/key", "mode": "singleValue"}}}
    assert key_of(loaded, {"source": "file", "id": "value"}, secrets, {"WHERE": str(tmp_path)}) == "k"


def test_a_file_without_the_secret_is_refused(refused, tmp_path: Path):
    (tmp_path / "keys.json").write_text('{"a": {"b": 1}}')
    (tmp_path / "broken.json").write_text('{"a": ')
    (tmp_path / "huge.json").write_text(" " * (1024 * 1024 + 1))

    def problem_of(file: str, pointer: str) -> str:
        secrets = {"providers": {"default": {"source": "file", "path": file}}}
        return refusal(refused, {"source": "file", "id": pointer}, secrets)

    assert 'has no string at "/a/b"' in problem_of("keys.json", "/a/b")
    assert 'has no string at "/x/y"' in problem_of("keys.json", "/x/y")
    assert 'has no string at "a"' in problem_of("keys.json", "a")
    assert "is not valid JSON" in problem_of("broken.json", "/a")
    assert "is larger than 1 MB" in problem_of("huge.json", "/a")
    assert "can't be read" in problem_of("absent.json", "/a")


def test_a_reference_into_no_known_file_is_refused(refused):
    assert (
        refusal(refused, {"source": "file", "id": "/a"}) == "there is no secrets.providers.default with a path; add it"
    )


def test_a_reference_to_a_provider_of_another_source_is_refused(refused):
    secrets = {"providers": {"keys": {"source": "file", "path": "keys.json"}}}
    problem = refusal(refused, {"source": "env", "provider": "keys", "id": "KEY"}, secrets, {"KEY": "k"})
    assert problem == "secrets.providers.keys is not of source env; name one that is"


@pytest.mark.parametrize("source", ["exec", "store", "vault"])
def test_programs_and_stores_are_never_asked_for_secrets(refused, source: str):
    problem = refusal(refused, {"source": source, "provider": "default", "id": "x"})
    assert problem == f'secret references to "{source}" are not supported; use "env" or "file"'


def test_a_program_that_is_declared_but_not_used_is_accepted(loaded):
    loaded('{secrets:{providers:{vault:{source:"exec",command:"/bin/vault",args:["x"]}},egressProxy:{}}}')


def test_the_token_of_the_gateway_may_be_a_reference(loaded):
    config = loaded('{gateway:{auth:{token:{source:"env",id:"T"}}}}', {"T": "secret-token"}).config
    assert config.gateway.auth.token.get_secret_value() == "secret-token"


@pytest.mark.parametrize(
    ("secrets", "path"),
    [
        ("{providrs:{}}", "secrets.providrs"),
        ("{providers:{a:{source:'?'}}}", "secrets.providers.a.source"),
        ("7", "secrets"),
    ],
)
def test_a_broken_secrets_section_is_reported(refused, secrets: str, path: str):
    (problem,) = refused(f"{{secrets:{secrets}}}")
    assert problem.startswith(f"{path}: ")
