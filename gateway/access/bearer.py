"""The bearer credential in an Authorization header. `shared_secret` compares it."""

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
