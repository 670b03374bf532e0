"""The bearer credential in an Authorization header. Comparing it is the business of `shared_secret`."""

from gateway.access.headers import Headers

_SCHEME = "bearer "


def bearer(headers: Headers) -> str | None:
    """The credential of `Authorization: Bearer <credential>`, None when there is none.

    As recorded: the scheme is case-insensitive and ends with a space (no tab), the rest is trimmed but otherwise taken
    as it is, so quotes and extra words belong to it. The first of several headers counts. Other schemes are none.
    """
    value = headers.get("Authorization")
    if value is None or value[:7].lower() != _SCHEME:
        return None
    return value[7:].strip() or None
