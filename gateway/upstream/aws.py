"""Where AWS's tools find the region and the access key: the environment, then the files of the profile.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html; roles, single sign-on and metadata
services are not implemented.
"""

from collections.abc import Mapping
from configparser import ConfigParser, Error

from gateway.core.paths import user_path
from gateway.upstream.authorise import Signer
from gateway.upstream.sigv4 import Credentials, signer

SIGNED = {"bedrock-converse-stream": "bedrock"}
"""Wire formats whose requests are signed if there is no key, with the name of the service."""

_DEFAULT_REGION = "us-east-1"


def region_from(env: Mapping[str, str]) -> str:
    """The region of `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile, else `us-east-1`."""
    named = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or _profile(env, "config").get("region")
    return (named or _DEFAULT_REGION).strip()


def credentials_from(env: Mapping[str, str]) -> Credentials | None:
    """The access key in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or in the profile that
    `AWS_PROFILE` names (`default` without it); None if there is none.
    """
    for values in (_upper(env), _profile(env, "credentials"), _profile(env, "config")):
        access, secret = values.get("aws_access_key_id", "").strip(), values.get("aws_secret_access_key", "").strip()
        if access and secret:
            return Credentials(access, secret, values.get("aws_session_token", "").strip() or None)
    return None


def signer_for(wire: str, region: str, env: Mapping[str, str]) -> Signer | None:
    """What signs the requests of this format with the environment's access key; None for a format without signatures,
    and without an access key.
    """
    credentials = credentials_from(env) if wire in SIGNED else None
    return None if credentials is None else signer(credentials, region, SIGNED[wire])


def secrets_for(wire: str, env: Mapping[str, str]) -> tuple[str | None, ...]:
    """What of the access key must not appear in a message."""
    credentials = credentials_from(env) if wire in SIGNED else None
    return () if credentials is None else (credentials.secret_key, credentials.session_token)


def _upper(env: Mapping[str, str]) -> dict[str, str]:
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return {name: env[name.upper()] for name in names if name.upper() in env}


def _profile(env: Mapping[str, str], kind: str) -> Mapping[str, str]:
    """The profile's section of `~/.aws/credentials` or `~/.aws/config`; empty if it can't be read."""
    variable = "AWS_SHARED_CREDENTIALS_FILE" if kind == "credentials" else "AWS_CONFIG_FILE"
    home = env.get("HOME")
    named = env.get(variable) or (f"{home}/.aws/{kind}" if home else None)
    if named is None:
        return {}
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(user_path(named).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, Error):
        return {}
    profile = env.get("AWS_PROFILE") or "default"
    section = profile if kind == "credentials" or profile == "default" else f"profile {profile}"
    return parser[section] if parser.has_section(section) else {}
