import pytest

from gateway.observe.redact import redact, redact_text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Incorrect API key provided: sk-proj-ab****yz, see", "Incorrect API key provided: [redacted], see"),
        ("bad key sk-ant-api03-AbC_d in use", "bad key [redacted] in use"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("redis://user:hunter22@host:6379/0 refused", "redis://[redacted]@host:6379/0 refused"),
        ("redis://:hunter22@host", "redis://[redacted]@host"),
        ("GET https://h/v1?key=AIzaSyD-1234567&alt=sse", "GET https://h/v1?key=[redacted]&alt=sse"),
        ("key AIzaSyD-1234567890abcdefgh here", "key [redacted] here"),
        ('{"api_key": "abcdef", "model": "m"}', '{"api_key": "[redacted]", "model": "m"}'),
        ("password=hunter22; user=me", "password=[redacted]; user=me"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2ln end", "jwt [redacted] end"),
        ("hash 0123456789abcdef0123456789abcdef.", "hash [redacted]."),
        ("ghp_abcdef123 and xoxb-12-ab and hf_abcdef", "[redacted] and [redacted] and [redacted]"),
        ("blob QWxhZGRpbjpvcGVuIHNlc2FtZSBhbmQgbW9yZSB0ZXh0MTIz==", "blob [redacted]"),
    ],
)  # fmt: skip
def test_what_looks_like_a_credential_is_hidden_and_the_words_around_it_stay(text: str, clean: str):
    assert redact_text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 128000 tokens, however you requested 130000 tokens",
        "max_tokens: 4096 is too large",
        "Total tokens: 4096, token limit: 8192",
        "model mock/this-is-a-rather-long-model-name-with-many-words-2026 not found",
        "chatcmpl-0198d2f3-aaaa-bbbb-cccc-1234567890ab failed",
        "a risk-averse, basic idea of a bearer",
        "/home/Someone/Projects2026/with/a/very/long/path/of/files/index.html",
        "https://api.example.com:8443/v1/chat/completions",
        "",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "part", ["a1-", "A1a", "eyJ-", "token ", "sk-", "://a:", "&key=", "api key", "f", "basic ", " "]
)
@pytest.mark.timeout(60)  # a square of the length would take hours
def test_a_long_text_costs_no_more_than_its_length(part: str):
    assert redact_text(part * (200_000 // len(part)))


@pytest.mark.parametrize(
    "name",
    ["authorization", "Proxy-Authorization", "set-cookie", "token", "gateway_token", "x-api-key", "apiKeys", "secret"],
)
def test_a_value_under_a_secret_name_is_hidden_whatever_it_is(name: str):
    assert redact(None, "", {name: "harmless"}) == {name: "[redacted]"}
    assert redact(None, "", {name: ["harmless"]}) == {name: "[redacted]"}


@pytest.mark.parametrize("name", ["tokens", "total_tokens", "max_tokens", "tokenizer"])
def test_counts_of_tokens_are_no_secret(name: str):
    assert redact(None, "", {name: 4096}) == {name: 4096}
    assert redact(None, "", {name: "many words"}) == {name: "many words"}


def test_ids_can_be_read_back():
    event = {"request_id": "0123456789abcdef0123456789abcdef", "trace": "0123456789abcdef0123456789abcdef"}
    assert redact(None, "", dict(event)) == event


def test_values_inside_others_are_cleaned():
    event = {
        "headers": {"Authorization": "x", "accept": "*/*"},
        "notes": ["Bearer abcdefgh", b"sk-abcdefgh"],
        "n": None,
    }
    assert redact(None, "", event) == {
        "headers": {"Authorization": "[redacted]", "accept": "*/*"},
        "notes": ["Bearer [redacted]", "[redacted]"],
        "n": None,
    }


def test_an_object_is_cleaned_by_its_text():
    assert redact(None, "", {"error": ValueError("key sk-abcdefgh")}) == {"error": "key [redacted]"}
