"""Google's application default credentials (https://docs.cloud.google.com/docs/authentication/application-default-credentials):
the file of a service account, the login of `gcloud`, or the service account of the machine, from its metadata server.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.upstream.oauth_token import Login

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
"""The environment variable that names the file."""

METADATA_VARIABLE = "GCE_METADATA_HOST"
"""The one that names the metadata server, as for Google's libraries."""

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_METADATA = "computeMetadata/v1/instance/service-accounts/default/token"
_LIFETIME = 3600  # seconds, the longest that Google allows
_USERS_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
_SERVICE_ACCOUNT = ("client_email", "private_key", "token_uri")
_USER = ("client_id", "client_secret", "refresh_token")
_INSTEAD = "use the key file of a service account, or run: gcloud auth application-default login"


def credentials_file(env: Mapping[str, str]) -> str | None:
    """The file that `GOOGLE_APPLICATION_CREDENTIALS` names, else the one that `gcloud` writes, if there is one."""
    named = env.get(VARIABLE, "").strip()
    if named:
        return named
    home = env.get("HOME")
    folder = env.get("CLOUDSDK_CONFIG", "").strip() or (f"{home}/.config/gcloud" if home else None)
    written = Path(folder) / "application_default_credentials.json" if folder else None
    return str(written) if written is not None and written.is_file() else None


def metadata_login(env: Mapping[str, str]) -> Login | None:
    """The service account that is attached to this machine or container, if `GCE_METADATA_HOST` names its metadata
    server (https://docs.cloud.google.com/compute/docs/metadata/overview).
    """
    host = env.get(METADATA_VARIABLE, "").strip()
    if not host:
        return None
    return Login(
        label="The service account of this machine",
        remedy=f"attach one with access to Vertex AI, check {METADATA_VARIABLE}, or set {VARIABLE}",
        token_uri=f"http://{host}/{_METADATA}",
        proof={"Metadata-Flavor": "Google"},
    )


def login_from(path: str) -> Login:
    """The login in a file. Raises ValueError, which quotes nothing of the file."""
    try:
        fields = loads(Path(path).read_bytes())
    except (OSError, InvalidJSON) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"the file can't be read: {reason}") from None
    kind = fields.get("type") if isinstance(fields, dict) else None
    if kind == "service_account":
        return _service_account(fields)
    if kind == "authorized_user":
        return _user(fields)
    named = f"a login of the type {kind!r} is not supported" if isinstance(kind, str) else 'the file has no "type"'
    raise ValueError(f"{named[:80]}; {_INSTEAD}")


def _service_account(fields: Mapping[str, Any]) -> Login:
    _require(fields, _SERVICE_ACCOUNT)
    assertion(fields, 0)
    return Login(
        label="The service account",
        remedy=f"check that it exists and that its key in {VARIABLE} has not been deleted",
        token_uri=fields["token_uri"],
        form=partial(_assertion_form, fields),
        secrets=(fields["private_key"],),
    )


def _assertion_form(fields: Mapping[str, Any], now: float) -> Mapping[str, str]:
    return {"grant_type": _GRANT, "assertion": assertion(fields, int(now))}


def _user(fields: Mapping[str, Any]) -> Login:
    _require(fields, _USER)
    form = {"grant_type": "refresh_token", **{name: fields[name] for name in _USER}}
    project = fields.get("quota_project_id")
    return Login(
        label="The login of gcloud",
        remedy="sign in again: gcloud auth application-default login",
        token_uri=_USERS_TOKEN_URI,
        form=lambda _: form,
        headers={"x-goog-user-project": project} if isinstance(project, str) and project else {},
        secrets=(fields["client_secret"], fields["refresh_token"]),
    )


def _require(fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    missing = [name for name in names if not isinstance(fields.get(name), str)]
    if missing:
        raise ValueError(f"the file lacks {', '.join(missing)}")


def assertion(fields: Mapping[str, Any], now: int) -> str:
    """A JSON Web Token (RFC 7523) that asks for a token for the service account of a key file; `now` in seconds. Raises
    ValueError for an unusable key.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415  an optional extra
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise ValueError('service accounts need the extra "vertex": pip install "openclaw-gateway[vertex]"') from None
    key: object = None
    with suppress(ValueError, TypeError):
        key = load_pem_private_key(fields["private_key"].encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("private_key is no RSA key in PEM form")  # noqa: TRY004  the value of a file is wrong
    key_id = fields.get("private_key_id")
    header = {"typ": "JWT", "alg": "RS256", **({"kid": key_id} if key_id else {})}
    claims = {
        "iss": fields["client_email"],
        "aud": fields["token_uri"],
        "scope": _SCOPE,
        "iat": now,
        "exp": now + _LIFETIME,
    }
    signed = f"{_encoded(dumps(header))}.{_encoded(dumps(claims))}"
    return f"{signed}.{_encoded(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
