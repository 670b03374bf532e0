"""Any message that the gateway can hold, as Hypothesis strategies."""

from hypothesis import strategies as st
from msgspec import Raw

from gateway.core.jsonio import dumps
from gateway.core.message import (
    NO_EXTRAS,
    Audio,
    Citation,
    Extras,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

texts = st.text(st.characters(), max_size=30)  # lone surrogates included: providers emit them
optional = st.none() | texts
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(texts, values, max_size=3)
extras = st.just(NO_EXTRAS) | st.builds(Extras, st.just("openai-completions"), objects.filter(bool))
raw_texts = texts | texts.map(lambda text: Raw(dumps(text)))
contents = (
    st.builds(Text, raw_texts, extras)
    | st.builds(Image, texts, optional, extras)
    | st.builds(Audio, texts, texts, extras)
    | st.builds(Refusal, texts, extras)
    | st.builds(Foreign, texts, objects)
)
thinking = st.builds(
    Thinking,
    texts,
    optional,
    optional,
    optional,
    st.sampled_from(["raw", "summary"]),
    st.none() | st.builds(Owner, texts, texts, texts),
    extras,
)
positions = st.none() | st.integers(0, 10_000)
citations = st.builds(Citation, texts, optional, positions, positions, extras)
parts = (
    contents
    | thinking
    | citations
    | st.builds(File, *[optional] * 4)
    | st.builds(ToolCall, texts, texts, texts, extras, st.sampled_from(["function", "custom"]), optional)
    | st.builds(ToolResult, texts, st.lists(contents, max_size=2).map(tuple), st.booleans(), st.booleans())
)
messages = st.builds(
    Message,
    st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]),
    st.lists(parts, max_size=4).map(tuple),
    optional,
    extras,
    st.booleans(),
    st.booleans(),
)
