"""The logins of the environment: what authorises a row that has no key, by its wire format and its address."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from gateway.core.errors import ConfigError
from gateway.upstream import aws, entra_login, google_login
from gateway.upstream.authorise import Signer
from gateway.upstream.oauth_token import Login, TokenSource
from gateway.upstream.provider import Provider
from gateway.upstream.transport.route import Route
from gateway.wire import AZURE, OPENAI_FORMATS
from gateway.wire.google_generative import VERTEX

RouteTo = Callable[[str], Route | None]
"""The route to a token server."""


def login_format(wire: str, base_url: str) -> str:
    """The format whose credentials are sent: Azure's for OpenAI's formats at an address of Azure, else `wire`."""
    return AZURE if wire in OPENAI_FORMATS and entra_login.is_azure(base_url) else wire


def signer_for(wire: str, region: str, env: Mapping[str, str], route_to: RouteTo = lambda _: None) -> Signer | None:
    """What signs the requests of this format (`login_format`) with the environment's access key, service account,
    application or managed identity; None for a format without signatures, and without any of them. Raises ConfigError
    for a login that can't be used.
    """
    login = _login(wire, env)
    if login is None:
        return aws.signer_for(wire, region, env)
    try:
        return TokenSource(login, None if login.form is None else route_to(login.token_uri))
    except ValueError as error:
        raise ConfigError((f"{login.label}: the address of its token server {error}",)) from None


def secrets_for(wire: str, env: Mapping[str, str]) -> tuple[str | None, ...]:
    """What of the environment's login must not appear in a message."""
    login = _login(wire, env)
    return aws.secrets_for(wire, env) if login is None else login.secrets


def token_sources(providers: Iterable[Provider]) -> Iterator[TokenSource]:
    """What has to be closed after the last request to these providers."""
    for provider in providers:
        signers = dict.fromkeys(row.signer for row in (provider, *provider.model_rows.values()))
        yield from (signer for signer in signers if isinstance(signer, TokenSource))


def _login(wire: str, env: Mapping[str, str]) -> Login | None:
    if wire == AZURE:
        try:
            return entra_login.login_from(env)
        except ValueError as error:
            raise ConfigError((str(error),)) from None
    if wire != VERTEX:
        return None
    path = google_login.credentials_file(env)
    if path is None:
        return google_login.metadata_login(env)
    try:
        return google_login.login_from(path)
    except ValueError as error:
        named = google_login.VARIABLE if env.get(google_login.VARIABLE, "").strip() else path
        raise ConfigError((f"{named}: {error}",)) from None
