"""One row of the configuration as a provider. It overrides the catalogue's row of the same id field by field."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import SecretStr
from yarl import URL

from gateway.config.profiles import ProfilesConfig
from gateway.config.providers import ModelConfig, ModelsConfig, ProviderConfig
from gateway.core.price import Price
from gateway.upstream.authorise import KeyHeaders, Signer, bearer, key_headers_of
from gateway.upstream.aws import region_from
from gateway.upstream.base_url import base_url_for
from gateway.upstream.by_address import quirks_of_address
from gateway.upstream.catalog import CATALOG, Row, known_models
from gateway.upstream.configured_model import configured_model, with_row_settings
from gateway.upstream.entra_login import is_azures_host
from gateway.upstream.keys import NamedKey, keys_for
from gateway.upstream.model import model_from
from gateway.upstream.prices import configured_price, known_prices
from gateway.upstream.provider import Provider
from gateway.upstream.routes import route_for, secrets_of_route
from gateway.upstream.row_credentials import built_in_url, has_credential, login_signer, region_of, with_keys
from gateway.upstream.signers import login_format, secrets_for
from gateway.wire import DEFAULT_UPSTREAM

_FOR_EVERY_MODEL = frozenset({"params", "max_tokens", "context_tokens", "context_window"})
"""Settings of a row that hold for models that it does not list, too."""


def inherits(name: str, models: ModelsConfig) -> bool:
    """Whether a row without a base URL has the catalogue's."""
    return models.mode == "merge" and name in CATALOG


def provider_of(
    name: str, config: ProviderConfig, env: Mapping[str, str], models: ModelsConfig, profiles: ProfilesConfig
) -> Provider:
    """The provider of the row `name`, with a row of its own for each model that is asked differently."""
    row = CATALOG.get(name)
    is_built_in = row is not None and _is_there(config, row, env)
    keys = keys_for(name, config, row, env, profiles)
    region = region_of(row, config.region, env)
    url = config.base_url or (built_in_url(CATALOG[name], env, region, keys) if inherits(name, models) else "")
    wire = config.api or (row.api if row is not None and is_built_in else DEFAULT_UPSTREAM)
    reading = _Reading(config, env, row, url, wire, region, keys)
    headers = {**_plain(config.headers), **_plain(config.request.headers), **_header_of(config)}
    base = reading.base(name, is_built_in=is_built_in)
    rows = {
        model.id: reading.row_of_model(base, model, headers)
        for model in config.models
        if model.base_url or model.headers or model.api not in (None, wire)
    }
    return reading.authorised(replace(base, model_rows=rows), wire, url, headers)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A row that is being read. `row` is the catalogue's, `url` the address in the file or that of `row`; `logins` are
    those of the environment by format, because the rows of models share their tokens.
    """

    config: ProviderConfig
    env: Mapping[str, str]
    row: Row | None
    url: str
    wire: str
    region: str
    keys: list[NamedKey]
    logins: dict[str, Signer | None] = field(default_factory=dict)

    def base(self, name: str, *, is_built_in: bool) -> Provider:
        """The provider without credentials. `is_built_in`: it is at the catalogue's address."""
        config, row, wire = self.config, self.row, self.wire
        quirks = {**quirks_of_address(self.url), **(row.quirks if row else {})}
        provider = Provider(
            id=name,
            base_url=base_url_for(wire, self.url),
            wire=wire,
            unlisted=model_from("", wire, quirks),
            known=known_models(name, wire, quirks) if is_built_in else {},
            prices=_prices(config, known_prices(name) if is_built_in else {}),
            only_listed=not self.url,  # without one, each model has its own
            embedding_model=row.embedding_model if row else None,
            timeout=config.timeout_seconds,
            traced=config.send_trace_context,
            local=row is not None and row.local,
            key_headers=_key_headers(config, row, wire, self.url),
            route=route_for(self.url, config.request, self.env),
        )
        specs = {model.id: configured_model(model, config, provider, quirks) for model in config.models}
        provider = replace(provider, models=specs)
        if not config.model_fields_set & _FOR_EVERY_MODEL:
            return provider
        known = {name: with_row_settings(model, config) for name, model in provider.known.items()}
        return replace(provider, known=known, unlisted=with_row_settings(provider.unlisted, config))

    def row_of_model(self, base: Provider, model: ModelConfig, headers: Mapping[str, str]) -> Provider:
        """The row of a model with an address, headers or a wire format of its own."""
        url, wire = model.base_url or self.url, model.api or self.wire
        row = replace(
            base,
            route=route_for(url, self.config.request, self.env),
            base_url=base_url_for(wire, url),
            wire=wire,
            key_headers=_key_headers(self.config, self.row, wire, url),
        )
        return self.authorised(row, wire, url, {**headers, **_plain(model.headers)})

    def authorised(self, base: Provider, wire: str, url: str, headers: Mapping[str, str]) -> Provider:
        """The row with its keys, or with the login of the environment."""
        format_ = login_format(wire, url)
        # With OpenAI's formats, a login of Azure goes to Azure's hosts only, unless `authHeader` says otherwise:
        # elsewhere, something on the way may add the credential.
        wanted = is_azures_host(url) if self.config.auth_header is None else self.config.auth_header
        is_open = format_ != wire and not wanted
        signer = None if is_open or has_credential(format_, self.keys, headers) else self._login(format_)
        own = secrets_for(format_, self.env) if signer else ()
        secrets = (*own, *secrets_of_route(self.config.request))
        return with_keys(replace(base, signer=signer), self.keys, headers, secrets)

    def _login(self, format_: str) -> Signer | None:
        if format_ not in self.logins:
            region = self.region or region_from(self.env)
            self.logins[format_] = login_signer(format_, region, self.env, self.config.request)
        return self.logins[format_]


def _prices(config: ProviderConfig, known: Mapping[str, Price]) -> Mapping[str, Price]:
    """The catalogue's prices with the configured ones, which win."""
    configured = {model.id: configured_price(model.cost, known.get(model.id)) for model in config.models}
    return {**known, **{name: price for name, price in configured.items() if price is not None}}


def _is_there(config: ProviderConfig, row: Row, env: Mapping[str, str]) -> bool:
    """Whether a configured row is at the built-in address, so that what the catalogue knows holds for it: at another
    host there may be another server, which is asked in the default format. A local server may be on another
    machine, and has one path per format.
    """
    if not config.base_url:
        return True
    mine, theirs = URL(config.base_url), URL(row.url(env, region_of(row, config.region, env)))
    return mine.path.rstrip("/") == theirs.path.rstrip("/") if row.local else mine.host == theirs.host


def _key_headers(config: ProviderConfig, row: Row | None, wire: str, url: str) -> KeyHeaders:
    if config.auth_header or config.auth == "token" or config.request.auth.mode == "authorization-bearer":
        return bearer
    format_ = login_format(wire, url)
    return row.key_headers if row and row.api == format_ else key_headers_of(format_)


def _header_of(config: ProviderConfig) -> dict[str, str]:
    """The header of `request.auth` that carries the credential."""
    auth = config.request.auth
    if auth.mode != "header" or auth.value is None:
        return {}
    return {auth.header_name: f"{auth.prefix}{auth.value.get_secret_value()}"}


def _plain(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}
