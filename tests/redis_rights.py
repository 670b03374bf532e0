"""The Redis user of docs/deployment.md, who can do only what a gateway needs."""

import re
from pathlib import Path

from tests.servers import Redis

_LINE = re.compile(r"^ACL SETUSER (gateway .*>SECRET .*)$", re.MULTILINE)
_KEYS = ["~openclaw:*", "~{openclaw}:*"]


def documented_rights() -> list[str]:
    """The words after `ACL SETUSER`."""
    (line,) = _LINE.findall((Path(__file__).parents[1] / "docs" / "deployment.md").read_text(encoding="utf-8"))
    return line.split()


async def create_user(server: Redis, *, any_key: bool = False) -> str:
    """Create the user at this server. Returns its credential for a URL. `any_key` is for tests with other prefixes."""
    rights = documented_rights()
    if any_key:
        rights = ["~*" if word == _KEYS[0] else word for word in rights if word != _KEYS[1]]
    await server.ask("ACL", "SETUSER", *rights)
    return "gateway:SECRET@"


async def denials(server: Redis) -> list[dict[str, object]]:
    """What a user was not allowed to do."""
    log: list[dict[str, object]] = await server.ask("ACL", "LOG")
    return log
