import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.usage import Usage
from gateway.wire.openai_chat.usage import read_usage

JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)
FIELDS = st.sampled_from(
    [
        *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "prompt_tokens_details"),
        *("completion_tokens_details", "cached_tokens", "reasoning_tokens"),
    ]
)


@pytest.mark.parametrize(
    ("payload", "usage"),
    [
        ({}, Usage()),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Usage(3, 4, 7)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(3, 4, 7)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 0}, Usage(3, 4, 7)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9}, Usage(3, 4, 9)),
        ({"prompt_tokens": 3}, Usage(3, 0, 3)),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}, Usage(3, 0, 3, cached=2)),
        ({"prompt_tokens": 3, "prompt_cache_hit_tokens": 2}, Usage(3, 0, 3, cached=2)),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}, "prompt_cache_hit_tokens": 2},
            Usage(3, 0, 3, cached=1),
        ),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 0}}, Usage(0, 5, 5, reasoning=0)),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}}, Usage(0, 5, 5, reasoning=4)),
        ({"completion_tokens": 5, "completion_tokens_details": {}}, Usage(0, 5, 5)),
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103, 135, reasoning=94),  # xAI counts reasoning beside the completion
        ),
        ({"prompt_tokens": None, "completion_tokens": "5", "prompt_tokens_details": None}, Usage()),
        ({"prompt_tokens": True, "completion_tokens": 2.5, "total_tokens": -1}, Usage()),
        ({"prompt_tokens": 3.0, "completion_tokens": 4.0, "total_tokens": 1e300}, Usage(3, 4, 7)),
        ({"completion_tokens_details": {"reasoning_tokens": True}, "prompt_tokens_details": [1]}, Usage()),
    ],
)
def test_counts_are_read_under_every_name_that_providers_use(payload, usage):
    assert read_usage(payload) == usage


@given(st.dictionaries(FIELDS, JUNK | st.dictionaries(FIELDS, JUNK, max_size=2)))
def test_counts_are_never_negative(payload):
    usage = read_usage(payload)
    counts = (usage.prompt, usage.completion, usage.total, usage.cached)
    assert all(type(count) is int and count >= 0 for count in counts)
