import pytest

from gateway.wire.anthropic_messages.profile import DEFAULT, Profile, profile_from, profile_of
from gateway.wire.claude import OTHER, abilities_of
from gateway.wire.model import ModelSpec


@pytest.mark.parametrize(
    ("model", "thinking", "flags"),
    [
        ("claude-3-haiku-20240307", "none", (True, True, True, False, False)),
        ("claude-3-5-sonnet-20241022", "none", (True, True, True, False, False)),
        ("claude-3-7-sonnet-20250219", "budget", (True, True, True, False, False)),
        ("claude-sonnet-4-20250514", "budget", (True, True, True, False, False)),
        ("claude-opus-4-1-20250805", "budget", (True, True, True, True, False)),
        ("claude-haiku-4-5", "budget", (True, True, True, True, False)),
        ("anthropic/claude-sonnet-4.6", "adaptive", (True, False, True, True, False)),
        ("us.anthropic.claude-opus-4-7-v1:0", "adaptive", (False, False, True, True, False)),
        ("claude-opus-4-8", "adaptive", (False, False, True, True, True)),
        ("claude-sonnet-5", "adaptive", (False, False, True, True, True)),
        ("claude-opus-5-5", "adaptive", (False, False, False, True, True)),
        ("claude-fable-5", "adaptive", (False, False, True, True, True)),
        ("claude-fable-5-1", "adaptive", (False, False, False, True, True)),
        ("claude-mythos-preview", "adaptive", (False, False, True, True, True)),
    ],
)
def test_what_a_model_accepts_follows_from_its_id(model, thinking, flags):
    known = abilities_of(model)
    assert known.thinking == thinking
    assert (known.sampling, known.prefill, known.forced_tools, known.json_schema, known.late_system) == flags


@pytest.mark.parametrize("model", ["MiniMax-M2", "kimi-k2", "", "glm-4.6"])
def test_nothing_is_assumed_of_models_of_other_makers(model):
    assert abilities_of(model) is OTHER


def test_only_the_makers_thinking_models_can_not_be_asked_not_to():
    assert abilities_of("claude-fable-5").thinks_always
    assert not abilities_of("claude-opus-5").thinks_always


def test_quirks_of_a_row_replace_what_the_id_says():
    profile = profile_from({"supports_temperature": False, "accepts_prefill": None, "supports_store": True})
    assert profile == Profile(sampling=False)
    assert not profile.abilities(ModelSpec("claude-haiku-4-5")).sampling
    assert profile.abilities(ModelSpec("claude-haiku-4-5")).prefill
    assert profile_of(ModelSpec("m")) is DEFAULT
    assert DEFAULT.abilities(ModelSpec("m", reasoning=True)).thinking == "budget"
