"""The logins of the environment: what authorises a row that has no key, by its wire format."""

from collections.abc import Mapping

from gateway.core.errors import ConfigError
from gateway.upstream.authorise import Signer
from gateway.upstream.aws import credentials_from, region_from
from gateway.upstream.google_token import VARIABLE, TokenSource, read_account
from gateway.upstream.sigv4 import signer
from gateway.wire.google_generative import VERTEX

SIGNED = {"bedrock-converse-stream": "bedrock"}
"""Wire formats whose requests are signed if there is no key, with the name of AWS's service."""


def signer_for(wire: str, env: Mapping[str, str], region: str | None = None) -> Signer | None:
    """What signs the requests of this format with the environment's access key or service account; None for a format
    without signatures, and without either. Raises ConfigError for a service account that can't be used.
    """
    if wire == VERTEX and (path := env.get(VARIABLE, "").strip()):
        try:
            return TokenSource(read_account(path)).headers_for
        except ValueError as error:
            raise ConfigError((f"{VARIABLE}: {error}",)) from None
    credentials = credentials_from(env) if wire in SIGNED else None
    return None if credentials is None else signer(credentials, region or region_from(env), SIGNED[wire])


def signing_secrets(wire: str, env: Mapping[str, str]) -> tuple[str | None, ...]:
    """The secrets behind the signatures, to be cut out of messages."""
    credentials = credentials_from(env) if wire in SIGNED else None
    return () if credentials is None else (credentials.secret_key, credentials.session_token)
