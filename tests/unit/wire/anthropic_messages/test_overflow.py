"""What Claude Code reads of a conversation that is too long, whatever the words of the provider are."""

import pytest

from gateway.wire.anthropic_messages.overflow import overflow_text

PREFIX = "The provider 'house' (127.0.0.1:8000) failed: "
OPENAI = "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens."
VLLM = (
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the messages, "
    "500 in the completion). Please reduce the length of the messages or completion."
)
LLAMA_CPP = "request (5,000 tokens) exceeds the available context size (4,096 tokens), try increasing it"
GOOGLE = "The input token count (1048999) exceeds the maximum number of tokens allowed (1048576)."
MISTRAL = "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"


@pytest.mark.parametrize(
    ("message", "length", "limit"),
    [(OPENAI, 250000, 200000), (VLLM, 5000, 4096), (LLAMA_CPP, 5000, 4096), (GOOGLE, 1048999, 1048576)],
    ids=["openai", "vllm", "llama.cpp", "google"],
)
def test_the_numbers_of_a_provider_stand_where_claude_code_reads_them(message, length, limit):
    text = f"{PREFIX}{message}"
    assert overflow_text(text) == f"prompt is too long: {length} tokens > {limit} maximum ({text})"


@pytest.mark.parametrize(
    "message",
    [MISTRAL, "maximum context length is 10", "Too many tokens.", "maximum 5 tokens, you sent 3 tokens", "9" * 5000],
)
def test_a_message_without_both_numbers_only_gets_the_words(message):
    assert overflow_text(message) == f"prompt is too long: {message}"


def test_anthropics_own_message_is_unchanged():
    text = f"{PREFIX}Prompt is too long: 250000 tokens > 200000 maximum"
    assert overflow_text(text) == text
