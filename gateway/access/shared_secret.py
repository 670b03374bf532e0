"""Modes `token` and `password`: one secret shared by all callers, who thereby are the owner."""

from hashlib import blake2b
from hmac import compare_digest

from gateway.access.bearer import bearer
from gateway.access.client import ClientAddress
from gateway.access.headers import Headers
from gateway.access.outcome import Authenticated, Credential, Outcome, Rejected
from gateway.core.identity import OWNER


class SharedSecret:
    """Compares the bearer credential with the gateway's secret, of which only the digest is kept.

    Comparing digests takes the same time whatever the guess is, its length included.
    """

    def __init__(self, credential: Credential, secret: str) -> None:
        self._digest = _digest(secret)
        self._right = Authenticated(OWNER, credential)
        self._wrong = Rejected("wrong", credential, why=f"wrong {credential}")
        self._missing = Rejected("missing", credential, why=f"missing {credential}")

    def authenticate(self, _client: ClientAddress, headers: Headers) -> Outcome:
        """Owner, `wrong` or `missing`; scopes headers are ignored (recorded)."""
        presented = bearer(headers)
        if presented is None:
            return self._missing
        return self._right if compare_digest(_digest(presented), self._digest) else self._wrong


def _digest(secret: str) -> bytes:
    # Header bytes that are no UTF-8 arrive as surrogates; they must be a wrong secret, not a crash.
    return blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).digest()
