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
def test_no_secret_remains_in_a_text(text):
    headers = {"Authorization": "Bearer abcdefgh"}
    env = {"A": "environment-value", "B": "environment-value-2", "C": "on"}
    url = "https://us%65r12:passw0rd@host/mcp?key=a%20long%20key"
    redacted = secrets_of(url, headers, env).redact(text)
    assert "[…]" in redacted
    for secret in ("abcdefgh", "passw0rd", "long", "value", "-2"):
        assert secret not in redacted


@pytest.mark.parametrize(
    "value", ["Bearer abcdefgh\n", "abcdefgh\n", "Bearer  abcdefgh", "Token id=abcdefgh; ijklmnop\r\n"]
)
def test_a_value_quoted_with_escapes_is_redacted(value):
    redacted = secrets_of(None, {"Authorization": value}, {"A": value}).redact(
        f"Illegal header value {value.encode()!r}"
    )
    assert "efgh" not in redacted
    assert "ijkl" not in redacted


def test_short_values_are_words_and_texts_are_cut():
    assert secrets_of(None, {}, {"A": "on"}).redact("on and on") == "on and on"
    assert len(secrets_of(None, {}, {}).redact("x" * 3000)) == 2000
