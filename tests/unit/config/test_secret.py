import json

import pytest
from pydantic import SecretStr

from gateway.config.load import load
from gateway.config.secret import trimmed_secret
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG
from gateway.upstream.keys import key_from

PADDED = [
    "abc-123\n",
    "abc-123\r\n",
    " abc-123\t",
    '"abc-123"',
    "'abc-123'\r\n",
    '" abc-123 "',
    "\ufeffabc-123\r\n",
    "\u200babc-123\u2060",
]
BROKEN = ["abc\n123", "abc\r\n123", "a\x00b", '"a\tb"', "a\x1b[0m"]
BLANK = [" ", "\n", '""', "' '"]


def loaded(tmp_path, config, env=()):
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return load(file, dict(env)).config


def auth(key, value):
    return {"gateway": {"auth": {key: value}}}


def provider(**row):
    return {"models": {"providers": {"p": {"baseUrl": "http://p/v1", "models": [{"id": "m"}], **row}}}}


@pytest.mark.parametrize("text", PADDED)
@pytest.mark.parametrize("key", ["token", "password"])
def test_white_space_and_quotes_around_a_secret_do_not_belong_to_it(tmp_path, text, key):
    variable = f"OPENCLAW_GATEWAY_{key.upper()}"
    for config, env in (
        (auth(key, text), {}),
        (auth(key, "${MINE}"), {"MINE": text}),
        (auth(key, {"source": "env", "id": "MINE"}), {"MINE": text}),
        ({}, {variable: text}),
    ):
        assert getattr(loaded(tmp_path, config, env).gateway.auth, key) == SecretStr("abc-123")


@pytest.mark.parametrize("text", PADDED)
def test_the_same_holds_for_keys_and_headers_of_providers_and_the_url_of_redis(tmp_path, text):
    row = loaded(tmp_path, provider(apiKey=text, apiKeys=[text], headers={"X": text})).models.providers["p"]
    assert [row.api_key, *row.api_keys, row.headers["X"]] == [SecretStr("abc-123")] * 3
    url = text.replace("abc-123", "redis://host:6379")
    assert loaded(tmp_path, {"gateway": {"redis": {"url": url}}}).gateway.redis.url == SecretStr("redis://host:6379")
    (name,) = CATALOG["openai"].key_variables[:1]
    assert key_from(CATALOG["openai"], {name: text}) == "abc-123"


@pytest.mark.parametrize("text", BROKEN + BLANK)
@pytest.mark.parametrize(
    ("config", "path"),
    [
        (lambda text: auth("token", text), "gateway.auth.token"),
        (lambda text: auth("password", text), "gateway.auth.password"),
        (lambda text: provider(apiKey=text), "models.providers.p.apiKey"),
        (lambda text: provider(headers={"X-Key": text}), "models.providers.p.headers.X-Key"),
    ],
)
def test_a_secret_that_nobody_can_send_is_an_error_that_names_its_key(tmp_path, text, config, path):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, config(text))
    (problem,) = [one for one in caught.value.problems if one.startswith(f"{path}:")]
    assert text.strip("\"' ") not in problem or not text.strip("\"' \n")


@pytest.mark.parametrize("text", ["", "abc", 'a"b', '"', "'a", "it's 'x'y"])
def test_other_secrets_stay_as_they_are(text):
    assert trimmed_secret(text) == text
