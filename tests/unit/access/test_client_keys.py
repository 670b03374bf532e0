"""Keys of clients beside the owner's secret: which headers hold them, what they open, and how they fail."""

import pytest

from gateway.access.client_keys import KeyReplica, KeyRing, principal_of
from gateway.access.outcome import Authenticated, Rejected
from gateway.access.shared_secret import SharedSecret
from gateway.core.client_key import KeyRecord, digest_of, new_key
from gateway.core.identity import OWNER

TOKEN = "token-0123456789abcdef"


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stored():
    replica = KeyReplica()
    replica.loaded = True
    return replica


def record(key, name="ci", **fields):
    return KeyRecord(name, digest_of(key).hex(), **fields)


@pytest.fixture
def authenticate(stored, clock, headers, direct):
    def authenticate(*pairs, declared=(), secret=TOKEN):
        ring = KeyRing("token", declared, stored, clock)
        return SharedSecret("token", secret, ring).authenticate(direct("203.0.113.7"), headers(*pairs))

    return authenticate


def bearer(key):
    return "Authorization", f"Bearer {key}"


@pytest.mark.parametrize("header", [bearer, lambda key: ("x-api-key", key), lambda key: ("X-API-Key", f" {key} ")])
def test_a_key_names_its_client_in_either_header(authenticate, stored, header):
    key = new_key()
    stored.put(record(key))
    outcome = authenticate(header(key))
    assert outcome == Authenticated(principal_of(record(key)), "token")
    assert (outcome.principal.name, outcome.principal.owner) == ("ci", False)
    assert outcome.principal.allows("operator.write")
    assert outcome.principal.allows("operator.read")
    assert not outcome.principal.allows("operator.admin")


def test_a_declared_key_works_too(authenticate):
    key = new_key()
    outcome = authenticate(bearer(key), declared=[record(key, "app", scopes=("operator.admin",))])
    assert outcome.principal.administers


def test_the_owners_secret_still_works_even_if_it_begins_like_a_key(authenticate):
    assert authenticate(bearer(TOKEN)) == Authenticated(OWNER, "token")
    for secret in ("ocg_mine", new_key()):
        assert authenticate(bearer(secret), secret=secret) == Authenticated(OWNER, "token")


@pytest.mark.parametrize("guess", ["ocg_" + "A" * 43, "ocg_", "ocg_x", "ocg_" + "é" * 43, "ocg_" + "\udcff" * 43, "x"])
def test_a_wrong_key_is_a_wrong_credential(authenticate, stored, guess):
    stored.put(record(new_key()))
    assert authenticate(bearer(guess)) == Rejected("wrong", "token")


def test_an_unknown_key_in_the_second_header_counts_and_other_values_are_no_keys(authenticate):
    assert authenticate(("x-api-key", new_key())) == Rejected("wrong", "token")
    assert authenticate(("x-api-key", TOKEN)) == Rejected("missing", "token")
    assert authenticate(("x-api-key", "")) == Rejected("missing", "token")


def test_the_first_header_counts_if_both_are_sent(authenticate, stored):
    key = new_key()
    stored.put(record(key))
    assert authenticate(bearer("wrong"), ("x-api-key", key)) == Rejected("wrong", "token")
    assert authenticate(bearer(key), ("x-api-key", "wrong")).principal.name == "ci"


def test_a_key_ends_at_its_expiry_and_is_no_guess_after_it(authenticate, stored, clock):
    key = new_key()
    stored.put(record(key, expires=1_060.0))
    clock.now = 1_059.9
    assert isinstance(authenticate(bearer(key)), Authenticated)
    clock.now = 1_060.0
    outcome = authenticate(bearer(key))
    assert outcome == Rejected("refused", "token")
    assert key not in outcome.why


def test_a_revoked_key_is_a_wrong_credential(authenticate, stored):
    key = new_key()
    stored.put(record(key))
    stored.drop("ci")
    assert authenticate(bearer(key)) == Rejected("wrong", "token")


def test_before_the_stored_keys_are_read_an_unknown_key_is_neither_right_nor_wrong(authenticate, stored):
    stored.loaded = False
    declared = new_key()
    assert authenticate(bearer(new_key())) == Rejected("unverifiable", "token")
    assert authenticate(bearer("wrong")) == Rejected("wrong", "token")
    assert authenticate(bearer(declared), declared=[record(declared)]).principal.name == "ci"


def test_a_key_that_is_replaced_under_its_name_opens_nothing(authenticate, stored):
    old, new = new_key(), new_key()
    stored.put(record(old))
    stored.put(record(new))
    assert authenticate(bearer(old)) == Rejected("wrong", "token")
    assert len(stored) == 1


def test_a_use_is_noted_once_and_a_refusal_never(authenticate, stored, clock):
    key = new_key()
    stored.put(record(key, expires=2_000.0))
    for _ in range(3):
        authenticate(bearer(key))
    assert stored.used == {"ci"}
    stored.used.clear()
    clock.now = 2_000.0
    authenticate(bearer(key))
    assert stored.used == set()


def test_no_key_is_in_the_memory_of_the_ring(stored, clock):
    key = new_key()
    stored.put(record(key))
    ring = KeyRing("token", [record(key, "other")], stored, clock)
    assert key not in repr(vars(ring)) + repr(vars(stored)) + repr(list(stored._keys.values()))
