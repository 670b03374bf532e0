"""Checks of providers through their free call: reach, key, models, and this machine's clock against theirs."""

import asyncio
import email.utils
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from gateway.agents.model_chain import named_providers
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Setup
from gateway.upstream.failure import named
from gateway.upstream.http import Limits, create_client
from gateway.upstream.listing import Listing, can_list, list_models
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import CannotConnect, NameUnknown, TlsFailed, TransportError
from gateway.validation import Valid

MAX_SKEW = 30.0
"""Seconds."""
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_DATED = re.compile(r"-(\d{8}|latest)")
_OK, _SERVER_ERROR, _RATE_LIMITED = 200, 500, 429
_REFUSED = frozenset({401, 402, 403})


@dataclass(slots=True)
class _Row:
    """A row to ask, and the models that agents ask of it."""

    provider: Provider
    models: set[str] = field(default_factory=set)


async def check_providers(setup: Setup) -> AsyncIterator[Finding]:
    """Every provider that the configuration has a row for or that an agent uses, once per key, all at a time."""
    if setup.valid is None:
        return
    async with create_client(Limits()) as http:

        async def ask(provider: Provider) -> Listing | TransportError | None:
            if not can_list(provider):
                return None
            try:
                return await list_models(provider, http)
            except TransportError as error:
                return error

        asked = [(one, row.models) for row in _rows(setup.valid) for one in (row.provider, *row.provider.others)]
        listings = await asyncio.gather(*(ask(provider) for provider, _ in asked))
    now, skewed = setup.machine.now(), False
    for (provider, models), listing in zip(asked, listings, strict=True):
        for finding in _findings(provider, models, listing, now):
            if finding.id != "clock.skew" or not skewed:  # one clock, one finding
                yield finding
            skewed = skewed or finding.id == "clock.skew"


def check_proxy(setup: Setup) -> Iterator[Finding]:
    """A proxy in the environment that no provider is called through."""
    if setup.valid is None:
        return
    variable = next((name for name in _PROXIES if setup.valid.loaded.env.get(name, "").strip()), None)
    if variable is None:
        return
    rows = [row.provider for row in _rows(setup.valid)]
    remote = [row for row in rows if not row.local]
    if remote and not any(row.route is not None and row.route.proxy is not None for row in rows):
        fix = f'set models.providers.{remote[0].id}.request.proxy to {{ mode: "env-proxy" }}, or unset {variable}'
        yield Finding("proxy.not-used", f"{variable} is set, and no provider has request.proxy", fix)


def _rows(valid: Valid) -> list[_Row]:
    """The rows to ask; rows of models at their own address only if an agent uses them."""
    config = valid.loaded.config
    names = {*config.models.providers, *named_providers(config)}
    rows: dict[tuple[str, str], _Row] = {}

    def row_of(provider: Provider) -> _Row:
        return rows.setdefault((provider.id, provider.identity), _Row(provider))

    for name, provider in valid.providers.items():
        if name in names and provider.base_url:
            row_of(provider)
    for agent in valid.directory.agents:
        for ref in agent.candidates:
            if (used := valid.providers.get(ref.provider)) is not None and used.row_for(ref.model).base_url:
                row_of(used.row_for(ref.model)).models.add(ref.model)
    return list(rows.values())


def _findings(
    provider: Provider, models: set[str], listing: Listing | TransportError | None, now: float
) -> Iterator[Finding]:
    name = named(provider)
    if listing is None:
        fix = f"openclaw-gateway agent --agent main --message hi  # a paid call, with an agent that uses {provider.id}"
        yield Finding("provider.not-checked", name, fix)
    elif isinstance(listing, TransportError):
        yield _unreachable(provider, listing)
    else:
        yield from _skew(name, listing.date, now)
        yield from _answered(provider, listing, models)


def _unreachable(provider: Provider, error: TransportError) -> Finding:
    path, name = f"models.providers.{provider.id}", named(provider)
    seen = f"{name}: {error}"
    match error:
        case NameUnknown():
            fix = f"correct {path}.baseUrl, or this machine's DNS (getent hosts {provider.address.rpartition(':')[0]})"
            return Finding("provider.name-unknown", f"{name}: the host name is unknown", fix)
        case TlsFailed():
            fix = f"set {path}.request.tls.ca to the certificate of its authority, or correct {path}.baseUrl"
            return Finding("provider.tls", seen, fix)
        case CannotConnect():
            seen = f"{name} {error}"  # its text is a predicate
        case _:
            pass
    fix = f"start the server or correct {path}.baseUrl; behind a proxy set {path}.request.proxy"
    return Finding("provider.unreachable", seen, fix)


def _answered(provider: Provider, listing: Listing, models: set[str]) -> Iterator[Finding]:
    path, name, status = f"models.providers.{provider.id}", named(provider), listing.status
    if status in _REFUSED:
        seen = f"{name} answers GET of its models with {status} for the key {provider.key_id}"
        yield Finding("provider.key-refused", seen, f"put a valid key into {path}.apiKey")
    elif status >= _SERVER_ERROR:
        yield Finding("provider.failing", f"{name} answers GET of its models with {status}", "run doctor again later")
    elif status == _RATE_LIMITED:
        return  # it is there, and it knows the key
    elif status != _OK or listing.models is None:
        fix = f"if calls fail too, correct {path}.baseUrl (most end in /v1)"
        yield Finding("provider.no-list", f"{name} has no list of models (status {status})", fix)
    else:
        for model in sorted(models):
            if not _has(listing.models, model):
                yield Finding("model.unknown", f"{name} does not list {model}", _advice(model, listing.models))


def _has(names: frozenset[str], model: str) -> bool:
    """Whether the list names the model, under a dated or tagged name too: an alias has none of its own."""
    plain = model.partition(":")[0]
    return bool({model, plain, f"{model}:latest"} & names) or any(
        name.startswith(f"{model}-") and _DATED.fullmatch(name[len(model) :]) for name in names
    )


def _advice(model: str, names: frozenset[str]) -> str:
    near = sorted(names, key=lambda name: (-_common(name, model), name))[:3]
    known = f"; it lists {', '.join(near)}" if near else "; it lists no model"
    return f"change agents.defaults.model (or that of the agent) from {model}{known}"


def _common(one: str, other: str) -> int:
    """How many characters they share at the beginning."""
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _skew(name: str, date: str, now: float) -> Iterator[Finding]:
    try:
        theirs = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return  # no date to compare with
    if abs(now - theirs) > MAX_SKEW:
        seen = f"this machine's clock is {abs(now - theirs):.0f} s {'ahead of' if now > theirs else 'behind'} {name}"
        yield Finding("clock.skew", seen, "timedatectl set-ntp true")
