"""Modes `token` and `password`: the owner's secret, and the keys of clients beside it."""

from hashlib import blake2b
from hmac import compare_digest

from gateway.access.bearer import CredentialReader, bearer
from gateway.access.client import ClientAddress
from gateway.access.client_keys import KeyRing
from gateway.access.headers import Headers
from gateway.access.outcome import Authenticated, Credential, Outcome, Rejected
from gateway.core.client_key import PREFIX
from gateway.core.identity import OWNER

_KEY_HEADER = "x-api-key"


class SharedSecret:
    """Compares the caller's credential with the gateway's secret. It stores only the secret's digest.

    Comparing digests takes the same time for every guess and every length. A client key is accepted in the route's
    header and in `x-api-key`; with both, the route's header counts.
    """

    def __init__(self, credential: Credential, secret: str, keys: KeyRing | None = None) -> None:
        self._digest = _digest(secret)
        self._keys = keys
        self._right = Authenticated(OWNER, credential)
        self._wrong = Rejected("wrong", credential, why=f"wrong {credential}")
        self._missing = Rejected("missing", credential, why=f"missing {credential}")

    def authenticate(self, _client: ClientAddress, headers: Headers, credential: CredentialReader = bearer) -> Outcome:
        """The owner, the client of a key, or the reason for a refusal. Scopes headers have no effect (recorded)."""
        presented = credential(headers)
        if self._keys is None:
            if presented is None:
                return self._missing
        elif presented is None or presented.startswith(PREFIX):
            return self._key_holder(presented, headers, self._keys)
        return self._right if self._is_secret(presented) else self._wrong

    def _key_holder(self, presented: str | None, headers: Headers, keys: KeyRing) -> Outcome:
        if presented is None:
            presented = (headers.get(_KEY_HEADER) or "").strip()
            if not presented.startswith(PREFIX):
                return self._missing
        outcome = keys.authenticate(presented)
        if isinstance(outcome, Authenticated):
            return outcome
        # The owner's own secret may begin like a key.
        return self._right if self._is_secret(presented) else outcome or self._wrong

    def _is_secret(self, presented: str) -> bool:
        return compare_digest(_digest(presented), self._digest)


def _digest(secret: str) -> bytes:
    # Header bytes that are not UTF-8 arrive as surrogates. They must be a wrong secret, not an exception.
    return blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).digest()
