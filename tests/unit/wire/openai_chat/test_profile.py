import pytest

from gateway.config.providers import CompatConfig
from gateway.upstream.catalog import CATALOG
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.profile import DEFAULT, Profile, profile_from, profile_of


def test_a_quirk_that_is_not_given_keeps_its_default():
    assert profile_from({"supports_developer_role": True, "supports_tool_choice": None}) == Profile(developer_role=True)


def test_quirks_of_other_formats_and_of_the_gateway_are_ignored():
    assert profile_from({"telepathy": True, "supports_tools": False, "accepts_prefill": True}) == DEFAULT


def test_a_model_without_a_profile_has_the_one_that_suits_every_server():
    assert profile_of(ModelSpec("m")) is DEFAULT
    assert (DEFAULT.developer_role, DEFAULT.embedding_base64, DEFAULT.max_tokens_field) == (False, False, "max_tokens")


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_quirks_of_the_catalogue_are_ones_that_can_be_configured(name):
    assert CATALOG[name].quirks.keys() <= {
        *CompatConfig.model_fields,
        "supports_unknown_fields",
        "supports_block_binding",
    }
