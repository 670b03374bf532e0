"""Authorises requests to Vertex AI with a service account: a signed assertion is exchanged for a token of an hour
(https://developers.google.com/identity/protocols/oauth2/service-account#httprest).
"""

import asyncio
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.client import read_whole
from gateway.upstream.http import DEFAULTS, Client
from gateway.upstream.transport.endpoint import Endpoint, endpoint
from gateway.upstream.transport.errors import TransportError
from gateway.wire.contract import WireRequest
from gateway.wire.statuses import kind_of_status

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
"""The environment variable that names the file of the account."""

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME = 3600  # seconds, the longest that Google allows
_EARLY = 120.0  # seconds before its end, a token is renewed
_FIELDS = ("client_email", "private_key", "token_uri")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The account of a downloaded key file; `private_key` is PEM."""

    email: str
    private_key: str = field(repr=False)
    token_uri: str
    key_id: str | None = None


def read_account(path: str) -> ServiceAccount:
    """The account in a key file. Raises ValueError, which quotes nothing of the file."""
    try:
        fields = loads(Path(path).read_bytes())
    except (OSError, InvalidJSON) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"the file can't be read: {reason}") from None
    if not isinstance(fields, dict) or fields.get("type") != "service_account":
        raise ValueError('is no key file of a service account: its "type" must be "service_account"')
    missing = [name for name in _FIELDS if not isinstance(fields.get(name), str)]
    if missing:
        raise ValueError(f"the key file lacks {', '.join(missing)}")
    key_id = fields.get("private_key_id")
    account = ServiceAccount(fields["client_email"], fields["private_key"], fields["token_uri"], key_id)
    assertion(account, 0)
    endpoint(account.token_uri, {}, DEFAULTS)
    return account


def assertion(account: ServiceAccount, now: int) -> str:
    """A JSON Web Token (RFC 7523) that asks for a token; `now` in seconds. Raises ValueError for an unusable key."""
    try:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415  an optional extra
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise ValueError('service accounts need the extra "vertex": pip install "openclaw-gateway[vertex]"') from None
    key: object = None
    with suppress(ValueError, TypeError):
        key = load_pem_private_key(account.private_key.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("private_key is no RSA key in PEM form")  # noqa: TRY004  the value of a file is wrong
    header = {"typ": "JWT", "alg": "RS256", **({"kid": account.key_id} if account.key_id else {})}
    claims = {
        "iss": account.email,
        "aud": account.token_uri,
        "scope": _SCOPE,
        "iat": now,
        "exp": now + _LIFETIME,
    }
    signed = f"{_encoded(dumps(header))}.{_encoded(dumps(claims))}"
    return f"{signed}.{_encoded(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenSource:
    """The tokens of one account. Concurrent requests wait for the same renewal. `clock` is in seconds."""

    def __init__(self, account: ServiceAccount, clock: Callable[[], float] = time.time) -> None:
        self._account = account
        self._clock = clock
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._address = endpoint(account.token_uri, headers, DEFAULTS)
        self._lock = asyncio.Lock()
        self._headers: Mapping[str, str] = {}
        self._renew_at = 0.0

    async def headers_for(self, _target: Endpoint, _asked: WireRequest) -> Mapping[str, str]:
        """See `gateway.upstream.authorise.Signer`."""
        if self._clock() >= self._renew_at:
            async with self._lock:
                if self._clock() >= self._renew_at:
                    await self._renew()
        return self._headers

    async def _renew(self) -> None:
        now = self._clock()
        grant = {"grant_type": _GRANT, "assertion": assertion(self._account, int(now))}
        client = Client(connect=10.0)  # once an hour: a connection of its own, closed at once
        try:
            response = await client.post(self._address, urlencode(grant).encode(), fresh=True)
            try:
                status, body = response.status, await read_whole(response)
            finally:
                response.abandon()
        except TransportError as error:
            raise UpstreamError(
                UpstreamKind.CONNECT,
                f"The provider's token server {self._account.token_uri} can't be reached: {error}.",
            ) from error
        fields = _object(body)
        token, lifetime = fields.get("access_token"), fields.get("expires_in")
        if status != 200 or not isinstance(token, str):
            raise _refused(status, fields)
        seconds = lifetime if isinstance(lifetime, int | float) else _LIFETIME
        self._headers = {"Authorization": f"Bearer {token}"}
        self._renew_at = now + max(seconds - _EARLY, seconds / 2)


def _object(body: bytes) -> dict[str, object]:
    try:
        fields = loads(body)
    except InvalidJSON:
        return {}
    return fields if isinstance(fields, dict) else {}


def _refused(status: int, fields: dict[str, object]) -> UpstreamError:
    """Google answers 400 or 401 for an account that it does not accept."""
    kind = UpstreamKind.AUTH if status in (200, 400, 401, 403) else kind_of_status(status)
    reason = fields.get("error_description") or fields.get("error") or f"status {status}"
    return UpstreamError(kind, f"The service account got no token: {reason}.", upstream_status=status)
