import pytest

from gateway.core.seal import PREFIX, seal_for

SECRET = bytes(range(32))


@pytest.fixture
def alice():
    return seal_for(SECRET, "alice")


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)), "\u00e9".encode()])
def test_what_was_sealed_is_opened_again(alice, data):
    assert alice.open(alice.close(data)) == data
    assert alice.close(data) == alice.close(data)
    assert alice.close(data).startswith(PREFIX)


@pytest.mark.parametrize("user", ["bob", "Alice", "", None, "user:alice"])
def test_the_seal_of_one_user_is_void_for_another(alice, user):
    assert seal_for(SECRET, user).open(alice.close(b"data")) is None


def test_the_seal_of_another_gateway_is_void(alice):
    assert seal_for(SECRET[::-1], "alice").open(alice.close(b"data")) is None


def test_every_altered_character_voids_it(alice):
    text = alice.close(b"some data.")
    for index, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        assert alice.open(text[:index] + other + text[index + 1 :]) is None
    assert alice.open(text[:-4]) is None
    assert alice.open(PREFIX) is None
    assert alice.open("") is None
    assert alice.open("ocg2.\ud83d") is None
