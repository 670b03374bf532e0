import pytest

from gateway.upstream.base_url import base_url_for


@pytest.mark.parametrize(
    ("api", "url", "expected"),
    [
        ("anthropic-messages", "https://h/v1", "https://h"),
        ("anthropic-messages", "https://h/anthropic/v1/", "https://h/anthropic"),
        ("anthropic-messages", "https://h/anthropic", "https://h/anthropic"),
        ("ollama", "http://h:11434/v1", "http://h:11434"),
        ("ollama", "http://h:11434", "http://h:11434"),
        (
            "google-generative-ai",
            "https://generativelanguage.googleapis.com",
            "https://generativelanguage.googleapis.com/v1beta",
        ),
        ("google-generative-ai", "https://h/", "https://h/v1beta"),
        ("google-generative-ai", "https://h/v1", "https://h/v1"),
        ("openai-completions", "https://h/v1", "https://h/v1"),
        ("openai-completions", "https://h", "https://h"),
        ("ollama", "", ""),
        ("openai-completions", "https://h/v1/chat/completions", "https://h/v1"),
        ("openai-completions", "https://h/v1/chat/completions/", "https://h/v1"),
        (
            "openai-completions",
            "https://h/openai/deployments/d/chat/completions?api-version=2024-10-21",
            "https://h/openai/deployments/d?api-version=2024-10-21",
        ),
        ("openai-responses", "https://h/v1/responses", "https://h/v1"),
        ("azure-openai-responses", "https://h/openai/v1/responses?a=b", "https://h/openai/v1?a=b"),
        ("anthropic-messages", "https://h/anthropic/v1/messages", "https://h/anthropic"),
        ("ollama", "http://h:11434/api", "http://h:11434"),
        ("ollama", "http://h:11434/api/chat", "http://h:11434"),
        ("openai-responses", "https://h/v1/chat/completions", "https://h/v1/chat/completions"),
        ("openai-completions", "https://h/v1?to=/chat/completions", "https://h/v1?to=/chat/completions"),
    ],
)
def test_the_version_in_a_base_url_is_what_the_formats_paths_need(api: str, url: str, expected: str):
    assert base_url_for(api, url) == expected
