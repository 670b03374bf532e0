"""The logins of the environment: what authorises a row that has no key, by its wire format."""

from collections.abc import Mapping

from gateway.core.errors import ConfigError
from gateway.upstream import aws
from gateway.upstream.authorise import Signer
from gateway.upstream.google_token import VARIABLE, TokenSource, read_account
from gateway.wire.google_generative import VERTEX


def signer_for(wire: str, region: str, env: Mapping[str, str]) -> Signer | None:
    """What signs the requests of this format with the environment's access key or service account; None for a format
    without signatures, and without either. Raises ConfigError for a service account that can't be used.
    """
    if wire != VERTEX:
        return aws.signer_for(wire, region, env)
    path = env.get(VARIABLE, "").strip()
    if not path:
        return None
    try:
        return TokenSource(read_account(path)).headers_for
    except ValueError as error:
        raise ConfigError((f"{VARIABLE}: {error}",)) from None
