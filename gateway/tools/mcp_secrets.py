"""The secrets in a tool server's configuration: values of `headers` and `env`, and parts of the URL. Logs and errors
must not contain them.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_MIN_SECRET_CHARS = 6  # a shorter value would also match parts of ordinary words
_MAX_TEXT_CHARS = 2000  # of a text from outside


class Secrets(Struct, frozen=True):
    """The secrets of one server, longest first, because one may be a part of another."""

    values: tuple[str, ...]

    def redact(self, text: str) -> str:
        """The text without the secrets, cut to 2000 characters."""
        for secret in self.values:
            text = text.replace(secret, "[…]")
        return text[:_MAX_TEXT_CHARS]


NO_SECRETS = Secrets(())


def secrets_of(url: str | None, headers: Mapping[str, str], env: Mapping[str, str]) -> Secrets:
    """All values that may be secrets."""
    values = {*headers.values(), *env.values(), *_url_secrets(url or "")}
    # `Bearer …` also without the first word, and values also without a final line break: errors quote it escaped.
    values |= {word for value in headers.values() for word in value.split()[1:]}
    values |= {value.strip() for value in values}
    return Secrets(tuple(sorted((one for one in values if len(one) >= _MIN_SECRET_CHARS), key=len, reverse=True)))


def _url_secrets(url: str) -> Iterator[str]:
    """The URL verbatim, and its secret parts, also decoded."""
    split = urlsplit(url)
    login = split.netloc.rpartition("@")[0]
    values = [pair.partition("=")[2] for pair in split.query.split("&")]
    for part in (url, split.query, login, *login.split(":"), *values):
        yield from (part, unquote(part))
