"""Access tokens of OAuth 2.0 (RFC 6749): a login is exchanged for a token that authorises requests for an hour. On a
cloud's own machines, a metadata server hands out such tokens.

A token is renewed before it ends, beside the requests: only a request without a valid token waits.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeVar
from urllib.parse import urlencode

import structlog

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.upstream.http import DEFAULTS, Client
from gateway.upstream.response_body import read_whole
from gateway.upstream.transport.endpoint import Endpoint, as_get, endpoint, with_headers
from gateway.upstream.transport.errors import TransportError
from gateway.upstream.transport.route import Route
from gateway.wire.contract import NO_HEADERS, WireRequest

log = structlog.get_logger(__name__)

_Of = TypeVar("_Of")

_LIFETIME = 3600  # seconds, of a token whose server names none
_EARLY = 300.0  # seconds before its end, a token is renewed
_SKEW = 10.0  # seconds before its end, a token is not used any more: it must not end on its way
_PAUSE = 30.0  # seconds between attempts while a token is still valid
_TIMEOUT = 30.0  # seconds for one attempt
_BUSY = (408, 429)


@dataclass(frozen=True, slots=True)
class Login:
    """What is exchanged for tokens at `token_uri`. `form` makes the fields of one request, at a time in seconds; it may
    read a file, and raises ValueError. Without it, the server is a metadata server on this machine's own network: it is
    asked by GET with `proof`, never through a proxy. One that answers 401 is asked once more with the headers that
    `challenge` makes of its `WWW-Authenticate`, like `form` perhaps from a file. `label` names the login in messages,
    and `remedy` says what to do if it is refused. `headers` go with every call beside the token; `secrets` must not
    appear in a message.
    """

    label: str
    remedy: str
    token_uri: str
    form: Callable[[float], Mapping[str, str]] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    proof: Mapping[str, str] = field(default_factory=dict, repr=False)
    challenge: Callable[[str], Mapping[str, str]] | None = field(default=None, repr=False)


class TokenSource:
    """The tokens of one login. It owns the one task that renews them, until `close`.

    `clock` gives Unix time and `monotonic` counts seconds. A token is as old as the clock says that counted more: the
    one may be set back, and the other stands still while the machine sleeps.

    Raises ValueError for an address that can't be used.
    """

    def __init__(
        self,
        login: Login,
        route: Route | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login = login
        self._clock = clock
        self._monotonic = monotonic
        if login.form is None:
            defaults = {name: value for name, value in DEFAULTS.items() if name != "Content-Type"}
            self._address = as_get(endpoint(login.token_uri, login.proof, defaults))
        else:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            self._address = endpoint(login.token_uri, headers, DEFAULTS, route=route)
        self._headers = NO_HEADERS
        self._asked_at = (0.0, 0.0)  # by both clocks, for the token that there is
        self._renew_after = self._valid_for = 0.0  # seconds of its age
        self._renewal: asyncio.Task[None] | None = None

    async def __call__(self, _target: Endpoint, _asked: WireRequest) -> Mapping[str, str]:
        """See `gateway.upstream.authorise.Signer`."""
        age = self._age()
        if age >= self._renew_after:
            renewal = self._renewal
            if renewal is None:
                renewal = self._renewal = asyncio.create_task(self._renew())
                renewal.add_done_callback(self._renewed)
            if age >= self._valid_for:
                try:
                    await asyncio.shield(renewal)  # others wait for it too
                except UpstreamError as error:  # each request makes a message of its own of it
                    raise UpstreamError(error.kind, error.message, upstream_status=error.upstream_status) from error
        return self._headers

    async def close(self) -> None:
        """End a renewal."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        error = None if renewal.cancelled() else renewal.exception()
        if error is not None and (age := self._age()) < self._valid_for:
            self._renew_after = age + _PAUSE
            log.warning("A token could not be renewed, the old one is still valid", reason=str(error))

    def _age(self) -> float:
        unix, counted = self._asked_at
        return max(self._clock() - unix, self._monotonic() - counted)

    async def _renew(self) -> None:
        now = self._clock()
        asked_at = now, self._monotonic()
        form = self._login.form
        fields_sent = {} if form is None else await self._made(form, now)
        status, fields, challenge = await self._exchange(self._address, urlencode(fields_sent).encode())
        if status == 401 and self._login.challenge is not None:
            answer = await self._made(self._login.challenge, challenge)
            status, fields, _ = await self._exchange(with_headers(self._address, answer), b"")
        token = fields.get("access_token")
        if status != 200 or not isinstance(token, str):
            raise self._refused(status, fields)
        seconds = _lifetime(fields, now)
        self._headers = {**self._login.headers, "Authorization": f"Bearer {token}"}
        self._asked_at = asked_at
        self._valid_for = seconds - _SKEW
        self._renew_after = max(seconds - _EARLY, seconds / 2)

    async def _made(self, make: Callable[[_Of], Mapping[str, str]], of: _Of) -> Mapping[str, str]:
        """What the login sends, which it may have to read from a file."""
        try:
            return await asyncio.to_thread(make, of)
        except ValueError as error:
            raise UpstreamError(UpstreamKind.AUTH, f"{self._login.label} can't be used: {error}.") from None

    async def _exchange(self, address: Endpoint, form: bytes) -> tuple[int, Mapping[str, object], str]:
        """Status, fields and challenge of the server's answer."""
        client = Client(connect=10.0)  # once an hour: a connection of its own, closed at once
        try:
            async with asyncio.timeout(_TIMEOUT):
                response = await client.post(address, form, fresh=True)
                try:
                    challenge = response.headers.get("www-authenticate", "")
                    return response.status, _object(await read_whole(response)), challenge
                finally:
                    response.abandon()
        except TimeoutError:
            raise self._away(f"no answer within {_TIMEOUT:g} s") from None
        except TransportError as error:
            raise self._away(str(error)) from error

    def _away(self, reason: str) -> UpstreamError:
        server = self._login.token_uri.partition("?")[0]
        remedy = f"; {self._login.remedy}" if self._login.form is None else ""  # there may be none on this machine
        text = f"The provider's token server {server} can't be reached: {reason}{remedy}."
        return UpstreamError(UpstreamKind.CONNECT, text)

    def _refused(self, status: int, fields: Mapping[str, object]) -> UpstreamError:
        """Token servers answer 400 or 401 for a login that they don't accept, metadata servers also 404. Any other
        trouble of theirs is no failure of the provider, and other instances may have other token servers.
        """
        is_refused = status == 200 or (400 <= status < 500 and status not in _BUSY)
        kind = UpstreamKind.AUTH if is_refused else UpstreamKind.CONNECT
        reason = str(fields.get("error_description") or fields.get("error") or f"status {status}").partition("\r\n")[0]
        # "token: WORD" would look like a secret, and be redacted.
        text = f"{self._login.label} got no token, its server says: {reason.rstrip('.')}"
        remedy = f"; {self._login.remedy}" if kind is UpstreamKind.AUTH else ""
        return UpstreamError(kind, f"{text}{remedy}.", upstream_status=status)


def _lifetime(fields: Mapping[str, object], now: float) -> float:
    """The seconds that a token is valid. Azure's servers send numbers as texts, and App Service only the time of the
    end.
    """
    lifetime, end = _number(fields.get("expires_in")), _number(fields.get("expires_on"))
    if lifetime is not None:
        return lifetime
    return _LIFETIME if end is None else end - now


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
    return number if number is not None and isfinite(number) and number > 0 else None


def _object(body: bytes) -> Mapping[str, object]:
    try:
        fields = loads(body)
    except InvalidJSON:
        return {}
    return fields if isinstance(fields, dict) else {}
