"""What a changed configuration may change while the gateway runs."""

import pytest

from gateway.config.changes import NEEDS_RESTART, applicable
from gateway.config.root import Config
from gateway.core.errors import ConfigError


def test_agents_models_limits_and_endpoints_take_effect_and_addresses_wait(loaded):
    running = loaded('{gateway:{port:1,auth:{token:"first"}},agents:{entries:{main:{}}}}').config
    text = '{gateway:{port:2,bind:"lan",redis:{keyPrefix:"x"},auth:{token:"second"}},agents:{entries:{other:{}}}}'
    wanted = loaded(text).config
    config, waiting = applicable(running, wanted)
    assert waiting == ("gateway.port", "gateway.bind", "gateway.redis")
    assert (config.gateway.port, config.gateway.bind, config.gateway.redis.key_prefix) == (1, "loopback", "openclaw")
    assert config.gateway.auth.token.get_secret_value() == "second"
    assert list(config.agents.entries) == ["other"]


def test_with_another_mode_all_of_auth_stays(loaded):
    running = loaded('{gateway:{auth:{mode:"token",token:"first"}}}').config
    config, waiting = applicable(running, loaded('{gateway:{auth:{mode:"password",password:"second"}}}').config)
    assert waiting == ("gateway.auth.mode",)
    assert config.gateway.auth == running.gateway.auth


def test_a_configuration_without_the_token_is_refused(loaded):
    running = loaded('{gateway:{auth:{token:"first"}}}').config
    with pytest.raises(ConfigError, match=r"gateway\.auth\.token: is no longer set"):
        applicable(running, loaded("{}").config)


def test_a_generated_token_stays_the_same(loaded):
    running = loaded("{}").config
    config, waiting = applicable(running, loaded("{}").config)
    assert (config, waiting) == (running, ())


def test_every_key_that_needs_a_restart_exists():
    assert applicable(Config(), Config())[1] == ()
    assert len(set(NEEDS_RESTART)) == len(NEEDS_RESTART)
