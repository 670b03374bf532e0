import secrets

import pytest

from gateway.access.secret_strength import is_unguessable, needs_budget
from gateway.config.auth import AuthConfig

RANDOM = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe])
@pytest.mark.parametrize("size", [24, 32])
def test_what_a_generator_makes_can_not_be_guessed(make, size):
    assert sum(is_unguessable(make(size)) for _ in range(500)) >= 495


@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe])
def test_what_is_too_short_can_be_guessed(make):
    assert not any(is_unguessable(make(12)) for _ in range(100))


@pytest.mark.parametrize(
    "secret",
    [
        "", "password", "correct-horse-battery-staple-again-and-again", "Password1234567890Password1234567890",
        "a" * 64, "0123456789" * 6, "abcdef0123456789" * 4, "ffffffffffffffffffffffffffffffff00000000",
        "my token with spaces 1 2 3 4 5 6 7 8 9 0 a b", "ichmagewigekuchen2024undkaffee2025dazu2026",
    ],
)  # fmt: skip
def test_what_a_person_chooses_is_taken_for_guessable(secret):
    assert not is_unguessable(secret)


@pytest.mark.parametrize(
    ("auth", "needed"),
    [
        ({"mode": "token", "token": RANDOM}, False),
        ({"mode": "token", "token": "hunter2"}, True),
        ({"mode": "token", "token": RANDOM, "rateLimit": {"global": 50}}, True),
        ({"mode": "token", "token": "hunter2", "rateLimit": {"global": False}}, False),
        ({"mode": "password", "password": "hunter2", "token": RANDOM}, True),
        ({"mode": "password", "password": RANDOM}, False),
        ({"mode": "trusted-proxy"}, True),
    ],
)
def test_a_common_budget_is_for_secrets_that_can_be_guessed_unless_it_is_configured(auth, needed):
    assert needs_budget(AuthConfig.model_validate(auth)) is needed
