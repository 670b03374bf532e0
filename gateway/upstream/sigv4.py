"""Signs requests with AWS Signature Version 4
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

Only the host, the date and the session token are signed headers: the transport may add others.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from gateway.upstream.authorise import Signer
from gateway.upstream.transport.endpoint import Endpoint
from gateway.wire.contract import WireRequest

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key of AWS; temporary ones have a session token."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def signer(credentials: Credentials, region: str, service: str, now: Callable[[], datetime] | None = None) -> Signer:
    """A signer of POST requests for `service` in `region`."""
    clock = now or (lambda: datetime.now(UTC))

    async def signed_headers(target: Endpoint, asked: WireRequest) -> Mapping[str, str]:
        host, path = _address(target)
        return signature(credentials, region, service, host=host, path=path, body=asked.body, when=clock())

    return signed_headers


def _address(target: Endpoint) -> tuple[str, str]:
    """The value of `Host`, and the path, of a prebuilt request."""
    request, *lines = target.head.decode().split("\r\n")
    host = next(line.partition(":")[2].strip() for line in lines if line[:5].lower() == "host:")
    return host, request.split(" ")[1]


def signature(
    credentials: Credentials, region: str, service: str, *, host: str, path: str, body: bytes, when: datetime
) -> dict[str, str]:
    """The headers that authorise one POST. `path` is as it is sent: encoded, without a query."""
    moment = when.strftime("%Y%m%dT%H%M%SZ")
    day = moment[:8]
    signed = {"host": host, "x-amz-date": moment}
    if credentials.session_token:
        signed["x-amz-security-token"] = credentials.session_token
    names = ";".join(signed)
    canonical = "\n".join([
        "POST",
        quote(path or "/", safe="/-_.~"),  # the path is encoded twice, except for S3
        "",
        *(f"{name}:{' '.join(value.split())}" for name, value in signed.items()),
        "",
        names,
        sha256(body).hexdigest(),
    ])  # fmt: skip
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, moment, scope, sha256(canonical.encode()).hexdigest()])
    key = _signing_key(credentials.secret_key, day, region, service)
    value = hmac.new(key, text.encode(), sha256).hexdigest()
    credential = f"Credential={credentials.access_key}/{scope}"
    headers = {
        "Authorization": f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={value}",
        "X-Amz-Date": moment,
    }
    if credentials.session_token:
        headers["X-Amz-Security-Token"] = credentials.session_token
    return headers


@lru_cache(maxsize=64)
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key
