"""Microsoft Entra ID: an application signs in with its secret, or with the token of a workload identity, as in Azure's
own libraries (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow). On Azure's own
machines, `managed_identity` hands out tokens without a secret.
"""

from collections.abc import Mapping
from pathlib import Path

from yarl import URL

from gateway.upstream.managed_identity import managed_identity
from gateway.upstream.oauth_token import Login

CLASSIC_PATH = "/openai/deployments/"
"""In a base URL: the deployment is named by the address (Azure's classic form)."""

_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_SCOPE = "https://cognitiveservices.azure.com/.default"
_AUTHORITY = "https://login.microsoftonline.com"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_TOKEN = 64 * 1024  # characters


def is_azure(base_url: str) -> bool:
    """Whether an address is one of Azure OpenAI, or has its classic form."""
    return is_azures_host(base_url) or CLASSIC_PATH in f"{URL(base_url).path}/"


def is_azures_host(base_url: str) -> bool:
    """Whether the host of an address is Azure's own."""
    return (URL(base_url).host or "").endswith(_HOSTS)


def login_from(env: Mapping[str, str]) -> Login | None:
    """The login that Azure's libraries would take, None if there is none: an application, else a managed identity.

    The application is that of `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` or
    `AZURE_FEDERATED_TOKEN_FILE`. `AZURE_TOKEN_CREDENTIALS` may say that there is only a managed identity.
    """
    only_managed = _value(env, "AZURE_TOKEN_CREDENTIALS").lower() == "managedidentitycredential"
    return (None if only_managed else _application(env)) or managed_identity(env)


def _application(env: Mapping[str, str]) -> Login | None:
    tenant, client = _value(env, "AZURE_TENANT_ID"), _value(env, "AZURE_CLIENT_ID")
    secret, file = _value(env, "AZURE_CLIENT_SECRET"), _value(env, "AZURE_FEDERATED_TOKEN_FILE")
    if not (tenant and client and (secret or file)):
        return None
    authority = (_value(env, "AZURE_AUTHORITY_HOST") or _AUTHORITY).rstrip("/")
    form = {"grant_type": "client_credentials", "client_id": client, "scope": _SCOPE}

    def with_token(_now: float) -> Mapping[str, str]:
        # Kubernetes replaces the file.
        return {**form, "client_assertion_type": _ASSERTION, "client_assertion": _token_in(file)}

    return Login(
        label="The Entra application",
        remedy=f"check AZURE_CLIENT_ID and {'AZURE_CLIENT_SECRET' if secret else 'AZURE_FEDERATED_TOKEN_FILE'}",
        token_uri=f"{authority}/{tenant}/oauth2/v2.0/token",
        form=(lambda _: {**form, "client_secret": secret}) if secret else with_token,
        secrets=(secret,) if secret else (),
    )


def _value(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip()


def _token_in(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()[:_MAX_TOKEN]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"AZURE_FEDERATED_TOKEN_FILE can't be read: {reason}") from None
