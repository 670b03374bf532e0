"""What of a tool server's configuration must not be read in a log or an error: values of `headers` and `env`, and parts
of the URL.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_SHORTEST = 6  # characters; what is shorter is no secret, and would be found in many words
_MOST = 2000  # characters of a text from outside


class Secrets(Struct, frozen=True):
    """The secrets of one server, the longest first: one may be a part of another."""

    values: tuple[str, ...]

    def out_of(self, text: str) -> str:
        """The text without them, cut to 2000 characters."""
        for secret in self.values:
            text = text.replace(secret, "[…]")
        return text[:_MOST]


NO_SECRETS = Secrets(())


def secrets_of(url: str | None, headers: Mapping[str, str], env: Mapping[str, str]) -> Secrets:
    """Whatever could be one."""
    said = {*headers.values(), *env.values(), *_parts(url or "")}
    # `Bearer …` also without that word, and what ends in a line break also without that: errors quote it escaped.
    said |= {word for value in headers.values() for word in value.split()[1:]}
    said |= {value.strip() for value in said}
    return Secrets(tuple(sorted((secret for secret in said if len(secret) >= _SHORTEST), key=len, reverse=True)))


def _parts(url: str) -> Iterator[str]:
    """The URL, for who says it as it is, and what may be secret in it, for who says it in another form."""
    split = urlsplit(url)
    login = split.netloc.rpartition("@")[0]
    values = [pair.partition("=")[2] for pair in split.query.split("&")]
    for part in (url, split.query, login, *login.split(":"), *values):
        yield from (part, unquote(part))
