"""Azure's managed identities: a metadata server next to the machine or container hands out tokens, without a secret.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token (virtual machines)
and https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference (App Service,
Functions, Container Apps).
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from gateway.upstream.azure_arc import arc_identity
from gateway.upstream.oauth_token import Login

_RESOURCE = "https://cognitiveservices.azure.com"
_VM_HOST = "http://169.254.169.254"
_VM_PATH = "/metadata/identity/oauth2/token"
_CHOSEN = ("managedidentitycredential", "prod")


def managed_identity(env: Mapping[str, str]) -> Login | None:
    """The identity of App Service, which `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` announce, else that of the virtual
    machine, which nothing announces, if `AZURE_TOKEN_CREDENTIALS` (`ManagedIdentityCredential` or `prod`) asks for it.
    `AZURE_CLIENT_ID` chooses one of several identities. Azure Arc announces its agent with `IDENTITY_ENDPOINT` and
    `IMDS_ENDPOINT`. None without any of them. Raises ValueError for Service Fabric, whose server has a certificate that
    nobody signed.
    """
    address, proof = _value(env, "IDENTITY_ENDPOINT"), _value(env, "IDENTITY_HEADER")
    if address and proof and _value(env, "IDENTITY_SERVER_THUMBPRINT"):
        raise ValueError(
            "IDENTITY_SERVER_THUMBPRINT: the managed identity of Service Fabric is not supported; set an API key, or "
            "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of an application"
        )
    if address and not proof and _value(env, "IMDS_ENDPOINT"):
        return arc_identity(address, _RESOURCE)
    if address and proof:
        return _login(env, address, "2019-08-01", {"X-IDENTITY-HEADER": proof}, (proof,))
    if _value(env, "AZURE_TOKEN_CREDENTIALS").lower() not in _CHOSEN:
        return None
    host = _value(env, "AZURE_POD_IDENTITY_AUTHORITY_HOST") or _VM_HOST
    return _login(env, f"{host.rstrip('/')}{_VM_PATH}", "2018-02-01", {"Metadata": "true"})


def _login(
    env: Mapping[str, str], address: str, version: str, proof: Mapping[str, str], secrets: tuple[str, ...] = ()
) -> Login:
    query = {"api-version": version, "resource": _RESOURCE}
    if client := _value(env, "AZURE_CLIENT_ID"):
        query["client_id"] = client
    return Login(
        label="The managed identity",
        remedy="assign one to this machine or app, or name another one in AZURE_CLIENT_ID",
        token_uri=f"{address}?{urlencode(query)}",
        proof=proof,
        secrets=secrets,
    )


def _value(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip()
