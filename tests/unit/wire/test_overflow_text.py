"""Providers that say only in words that a prompt is too long: the next model is asked, and the client gets a code."""

import pytest

from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.wire import UPSTREAMS
from gateway.wire.openai_error import error_in
from gateway.wire.overflow_text import says_overflow

# As their users have reported them.
OVERFLOWS = [
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "prompt is too long: 213462 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    "Input is too long for requested model.",
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Please reduce the length of the messages or completion.",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 280000)",
    "invalid params, context window exceeds limit",
    "Range of input length should be [1, 30720]",
    "prompt token count of 140000 exceeds the limit of 128000",
    "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "the request exceeds the available context size, try increasing it",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "the input length exceeds the context length",
    "Prompt 超长",
]
OTHERS = [
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
    "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum",
    "The image exceeds the maximum allowed size",
    "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64.",
    "Rate limit reached for tokens per minute (TPM): Limit 30000, Used 29000, Requested 5000.",
    "temperature: range: 0..1",
]


@pytest.mark.parametrize("text", OVERFLOWS)
def test_a_refusal_for_the_length_of_the_prompt_is_one(text):
    assert says_overflow(text)
    forms = {"ollama": {"error": text}, "bedrock-converse-stream": {"message": text}}
    for name, wire in UPSTREAMS.items():
        error = wire.error(400, forms.get(name, {"error": {"message": text}}), None)
        assert (name, error.kind, error.code) == (name, Kind.CONTEXT_OVERFLOW, "context_length_exceeded")


@pytest.mark.parametrize("text", OTHERS)
def test_another_refusal_is_none(text):
    assert not says_overflow(text)


def test_it_may_come_in_the_stream_without_a_status():
    assert error_in({"message": OVERFLOWS[-3]}).kind is Kind.CONTEXT_OVERFLOW
    assert error_in({"message": OTHERS[0]}).kind is Kind.SERVER_ERROR
