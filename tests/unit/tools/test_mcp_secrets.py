import pytest

from gateway.tools.mcp_secrets import secrets_of


@pytest.mark.parametrize(
    "text",
    [
        "Bearer abcdefgh is wrong",
        "no such key: abcdefgh",
        "failed for https://us%65r12:passw0rd@host/mcp?key=a%20long%20key",
        "failed for https://host/mcp/?key=a%20long%20key",
        "the key 'a long key' is unknown",
        "passw0rd",
        "from the environment: environment-value-2",
    ],
)
def test_nothing_of_the_secrets_is_told(text):
    headers = {"Authorization": "Bearer abcdefgh"}
    env = {"A": "environment-value", "B": "environment-value-2", "C": "on"}
    url = "https://us%65r12:passw0rd@host/mcp?key=a%20long%20key"
    told = secrets_of(url, headers, env).redact(text)
    assert "[…]" in told
    for secret in ("abcdefgh", "passw0rd", "long", "value", "-2"):
        assert secret not in told


@pytest.mark.parametrize(
    "value", ["Bearer abcdefgh\n", "abcdefgh\n", "Bearer  abcdefgh", "Token id=abcdefgh; ijklmnop\r\n"]
)
def test_a_value_that_is_quoted_with_escapes_is_not_told(value):
    told = secrets_of(None, {"Authorization": value}, {"A": value}).redact(f"Illegal header value {value.encode()!r}")
    assert "efgh" not in told
    assert "ijkl" not in told


def test_short_values_are_words_and_texts_are_cut():
    assert secrets_of(None, {}, {"A": "on"}).redact("on and on") == "on and on"
    assert len(secrets_of(None, {}, {}).redact("x" * 3000)) == 2000
