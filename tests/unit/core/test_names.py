import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.names import AgentTarget, ModelRef, is_agent_id, parse_agent_target, parse_model_ref


@pytest.mark.parametrize(
    ("model", "agent"),
    [
        ("openclaw", None),
        ("openclaw/default", None),
        ("  OpenClaw ", None),
        ("OPENCLAW/DEFAULT", None),
        ("openclaw/main", "main"),
        ("openclaw:main", "main"),
        ("agent:main", "main"),
        ("Agent:Main", "main"),
        ("openclaw/main\n", "main"),
        ("openclaw:default", "default"),
        ("agent:default", "default"),
        ("openclaw/a", "a"),
        ("openclaw/0-_x", "0-_x"),
        ("openclaw/" + "a" * 64, "a" * 64),
    ],
)
def test_an_agent_is_named_in_every_recorded_form(model, agent):
    assert parse_agent_target(model) == AgentTarget(agent)


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-4",
        "main",
        "openclaw/",
        "openclaw:",
        "agent:",
        "agent/main",
        "agent",
        "openclaw/main/",
        "openclaw//main",
        "openclaw/-main",
        "openclaw/_main",
        "openclaw/ma in",
        "openclaw/mäin",
        "openclaw/" + "a" * 65,
        "xopenclaw",
        "openclawx",
        "openai/gpt-5",
    ],
)
def test_anything_else_is_no_agent(model):
    assert parse_agent_target(model) is None


@pytest.mark.parametrize("name", ["Main", "", "a/b", "-a", "a" * 65, "a\n", "é"])
def test_an_agent_id_is_lower_case_and_short(name):
    assert not is_agent_id(name)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("openai/gpt-5", ModelRef("openai", "gpt-5")),
        (" OpenAI/GPT-5 ", ModelRef("openai", "GPT-5")),
        ("openai / gpt-5", ModelRef("openai", "gpt-5")),
        ("openrouter/meta/llama", ModelRef("openrouter", "meta/llama")),
        ("hf/Org/Model:Q4", ModelRef("hf", "Org/Model:Q4")),
        ("gpt-5", ModelRef("home", "gpt-5")),
        ("  gpt-5", ModelRef("home", "gpt-5")),
    ],
)
def test_a_model_is_a_provider_and_its_own_spelling(text, ref):
    assert parse_model_ref(text, "home") == ref


@pytest.mark.parametrize("text", ["", " ", "/", "//", "///", "mock/", "mock/ ", "/gpt", " /gpt", "mock//", "mock/ / "])
def test_half_a_reference_is_none(text):
    assert parse_model_ref(text, "home") is None


@pytest.mark.parametrize("text", ["mock/\udcff", "\udcff", "mock/a\nb", "mock/a\0b"])
def test_a_text_that_can_not_be_a_header_value_is_no_reference(text):
    assert parse_model_ref(text, "home") is None


@given(
    st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9:._-]{1,8}(/[A-Za-z0-9]{1,4})?", fullmatch=True),
)
def test_a_reference_is_read_back_from_its_print(provider, model):
    ref = ModelRef(provider, model)
    assert parse_model_ref(str(ref), "another") == ref
