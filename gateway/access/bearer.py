"""The credential in the headers of a request. `shared_secret` compares it."""

from collections.abc import Callable

from gateway.access.headers import Headers

CredentialReader = Callable[[Headers], str | None]
"""Finds the caller's credential in the headers of a request; None without one."""

_SCHEME = "bearer "


def bearer(headers: Headers) -> str | None:
    """The credential in `Authorization: Bearer <credential>`, None without one.

    As recorded: the scheme is case-insensitive and ends with a space (not a tab). The rest is the credential; it is
    trimmed, and quotes and extra words belong to it. The first of several headers counts. Other schemes don't count.
    """
    value = headers.get("Authorization")
    if value is None or value[:7].lower() != _SCHEME:
        return None
    return value[7:].strip() or None


def bearer_or_api_key(headers: Headers) -> str | None:
    """The bearer credential, else the one in `x-api-key`, as Anthropic's clients send it; None without one.

    A client that has both sends its own maker's key in `x-api-key`, from its environment.
    """
    credential = bearer(headers)
    if credential is not None:
        return credential
    return (headers.get("x-api-key") or "").strip() or None
