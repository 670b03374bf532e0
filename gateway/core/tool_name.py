"""What a tool of a tool server is called before models: `server__tool`.

Providers take letters, digits, `_` and `-`, at most 64 of them. The part before the first `__` is the server, so no two
servers can give one name to two tools.
"""

import hashlib
import re

_MOST = 64
_MOST_OF_SERVER = 30
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
_UNDERSCORES = re.compile(r"_{2,}")


def server_part(server: str) -> str:
    """What stands for a configured server; two servers may not share it, and an empty one stands for none."""
    plain = _UNDERSCORES.sub("_", _FOREIGN.sub("-", server.strip()))
    return plain[:_MOST_OF_SERVER].rstrip("_")


def tool_name(server: str, tool: str) -> str:
    """The name of `tool` as the server `server` has it; one that is too long ends in a digest of itself."""
    prefix = f"{server_part(server)}__"
    plain = _FOREIGN.sub("-", tool)
    room = _MOST - len(prefix)
    if len(plain) > room:
        digest = hashlib.sha256(tool.encode()).hexdigest()[:8]
        plain = f"{plain[: room - 9]}-{digest}"
    return prefix + plain
