"""A provider: a configured endpoint with its credentials, as a row of data. `gateway.wire` has its format."""

import hashlib
import itertools
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote

from yarl import URL

from gateway.core.price import Price
from gateway.core.trace_context import CURRENT_ATTEMPT, HEADER
from gateway.upstream.authorise import KeyHeaders, Signer, bearer
from gateway.upstream.http import DEFAULTS
from gateway.upstream.transport.endpoint import Endpoint, Origin, endpoint, origin_of, with_headers
from gateway.upstream.transport.route import Route
from gateway.wire import DEFAULT_UPSTREAM
from gateway.wire.contract import NO_HEADERS, WireRequest
from gateway.wire.model import UNKNOWN_MODEL, ModelSpec

MIN_SECRET = 4
"""The characters of the shortest secret: a shorter key, such as that of a server which wants any, is part of words."""
_DIRECT = Route()
_MAX_ENDPOINTS = 64  # per row; a format whose paths name the model must not fill the memory


@dataclass(frozen=True, slots=True)
class Provider:
    """An endpoint and the settings of its requests.

    `base_url` is below the host up to the version, such as `https://api.openai.com/v1`. `headers` are those of every
    request, credential included; `key_headers` made them from the key, and `signer` makes those that are new for every
    request. A `traced` provider gets the `traceparent` of each attempt, but not the client's `tracestate`, which may
    hold what is meant for others. `key_id` names the key without disclosing it. `secrets` are all keys and header
    values of the row, to be cut out of messages. `others` is the same row with each further key. `timeout` (seconds)
    replaces the waiting limits when the row sets one; `route` is how it is connected to, None for the usual way. A
    `local` provider may have to load its model first. `prepare` is awaited before a call, for an endpoint that has to
    be started first.

    `models` are those of the configuration, `known` those of the catalogue, and `unlisted` is what is assumed of every
    other one. `prices` are the known prices of models, by id. `model_rows` are the rows of models with their
    own base URL, headers or wire format. `only_listed` means that only the models in `models` exist.
    """

    id: str
    base_url: str = field(repr=False)  # may hold a password
    wire: str = DEFAULT_UPSTREAM
    api_key: str | None = field(default=None, repr=False)
    key_id: str = "apiKey"
    others: tuple["Provider", ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key_headers: KeyHeaders = field(default=bearer, compare=False)
    signer: Signer | None = None
    traced: bool = False
    unlisted: ModelSpec = UNKNOWN_MODEL
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    known: Mapping[str, ModelSpec] = field(default_factory=dict, repr=False)
    prices: Mapping[str, Price] = field(default_factory=dict, repr=False)
    model_rows: Mapping[str, "Provider"] = field(default_factory=dict)
    only_listed: bool = False
    embedding_model: str | None = None
    timeout: float | None = None
    route: Route | None = None
    local: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    prepare: Callable[[], Awaitable[None]] | None = None
    endpoints: dict[Hashable, Endpoint] = field(default_factory=dict, init=False, repr=False, compare=False)
    identities: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    turns: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    @property
    def address(self) -> str:
        """`host:port`, for messages."""
        url = URL(self.base_url)
        return f"{url.host}:{url.port}"

    @property
    def identity(self) -> str:
        """Address, and digest of the credential and the way there, equal in all instances that share all of it."""
        known = self.identities.get("")
        if known is None:
            url = str(URL(self.base_url).with_user(None).with_query(None)).rstrip("/")
            credential = "\n".join(f"{name.lower()}:{value}" for name, value in sorted(self.headers.items()))
            signed = () if self.signer is None else self.secrets  # the environment's login, which is in no header
            route = self.route or _DIRECT
            proxy = "" if route.proxy is None else route.proxy.label
            certificate = "" if route.tls is None else f"{route.tls.certificate}"
            parts = (self.base_url, credential, *signed, proxy, certificate)
            digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
            known = self.identities[""] = f"{url}#{digest}"
        return known

    def model(self, model_id: str) -> ModelSpec:
        """The model's spec, or a default one for an id that is not listed, so new models need no configuration."""
        return self.models.get(model_id) or self.known.get(model_id) or self.unlisted.named(model_id, self.id)

    @property
    def is_simple(self) -> bool:
        """Whether every model is asked by this row, with its one key: so are most."""
        return not (self.others or self.model_rows or self.only_listed)

    def origins(self) -> frozenset[Origin]:
        """The servers of this row and of the rows of its models."""
        rows = (self, *self.model_rows.values())
        return frozenset(origin_of(row.base_url, row.route) for row in rows if row.base_url)

    def row_for(self, model_id: str) -> "Provider":
        """The row for requests to this model."""
        return self.model_rows.get(model_id, self)

    def has(self, model_id: str) -> bool:
        """Whether the model may exist; False only if the row is `only_listed` and does not list it."""
        return not self.only_listed or model_id in self.models

    def in_turn(self) -> tuple["Provider", ...]:
        """One row per key. Each call starts with the next key, so that load spreads over the keys."""
        if not self.others:
            return (self,)
        rows = (self, *self.others)
        first = next(self.turns) % len(rows)
        return rows[first:] + rows[:first]

    def endpoint(self, path: str, headers: Mapping[str, str] = NO_HEADERS) -> Endpoint:
        """The address below the base URL with this row's headers, and those that the wire format needs (`headers`)
        under them; made once.

        Raises ValueError for a base URL or a header that can't be used.
        """
        key = (path, *headers.items()) if headers else path
        made = self.endpoints.get(key)
        if made is None:
            made = endpoint(self.base_url.rstrip("/"), self.headers, {**DEFAULTS, **headers}, path, self.route)
            if len(self.endpoints) < _MAX_ENDPOINTS:
                self.endpoints[key] = made
        return made

    async def signed(self, asked: WireRequest) -> Endpoint:
        """The address of one request, with the headers that are its own. Raises ValueError and UpstreamError."""
        made = self.endpoint(asked.path, asked.headers)
        headers = NO_HEADERS if self.signer is None else await self.signer(made, asked)
        if self.traced and (context := CURRENT_ATTEMPT.get()) is not None:
            headers = {**headers, HEADER: context.traceparent}
        return with_headers(made, headers) if headers else made


def secrets_in(keys: Iterable[str | None], headers: Mapping[str, str], base_url: str) -> tuple[str, ...]:
    """What must not appear in a message: keys, values of configured headers, a password in the URL; longest first. Each
    also in the forms in which servers quote it: escaped as in JSON, for a URL, in HTML, and as the Basic credential of
    the URL's login.

    The part of a header value after its scheme (`Bearer …`) is a secret too. Shorter values than four characters are
    not secrets: redacting them would damage words.
    """
    url = URL(base_url)
    values = [*keys, url.password, *headers.values(), *(value.partition(" ")[2] for value in headers.values())]
    secrets = {value for value in values if value is not None and len(value) >= MIN_SECRET}
    if url.password:
        secrets.add(b64encode(f"{url.user or ''}:{url.password}".encode()).decode())
    for secret in tuple(secrets):
        secrets |= {json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret)}
        secrets |= {escape(secret), escape(secret, quote=False)}
    return tuple(sorted(secrets, key=len, reverse=True))
