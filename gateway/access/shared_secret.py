"""Modes `token` and `password`: all callers share one secret and act as the owner."""

from hashlib import blake2b
from hmac import compare_digest

from gateway.access.bearer import CredentialReader, bearer
from gateway.access.client import ClientAddress
from gateway.access.headers import Headers
from gateway.access.outcome import Authenticated, Credential, Outcome, Rejected
from gateway.core.identity import OWNER


class SharedSecret:
    """Compares the caller's credential with the gateway's secret. It stores only the secret's digest.

    Comparing digests takes the same time for every guess and every length.
    """

    def __init__(self, credential: Credential, secret: str) -> None:
        self._digest = _digest(secret)
        self._right = Authenticated(OWNER, credential)
        self._wrong = Rejected("wrong", credential, why=f"wrong {credential}")
        self._missing = Rejected("missing", credential, why=f"missing {credential}")

    def authenticate(self, _client: ClientAddress, headers: Headers, credential: CredentialReader = bearer) -> Outcome:
        """The owner, `wrong` or `missing`. Scopes headers have no effect (recorded)."""
        presented = credential(headers)
        if presented is None:
            return self._missing
        return self._right if compare_digest(_digest(presented), self._digest) else self._wrong


def _digest(secret: str) -> bytes:
    # Header bytes that are not UTF-8 arrive as surrogates. They must be a wrong secret, not an exception.
    return blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).digest()
