"""The name of a tool server's tool for models: `server__tool`.

Providers accept letters, digits, `_` and `-`, at most 64 characters. The part before the first `__` is the server, so
tools of two servers never have the same name.
"""

import hashlib
import re

_MAX_NAME_CHARS = 64
_MAX_PREFIX_CHARS = 30
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
_UNDERSCORES = re.compile(r"_{2,}")


def tool_prefix(server: str) -> str:
    """The prefix of a configured server. It must be unique and not empty."""
    plain = _UNDERSCORES.sub("_", _FOREIGN.sub("-", server.strip()))
    return plain[:_MAX_PREFIX_CHARS].rstrip("_")


def tool_name(server: str, tool: str) -> str:
    """The name for models of `tool` on `server`. A name that is too long ends in a digest of the tool's own name."""
    prefix = f"{tool_prefix(server)}__"
    plain = _FOREIGN.sub("-", tool)
    room = _MAX_NAME_CHARS - len(prefix)
    if len(plain) > room:
        digest = hashlib.sha256(tool.encode()).hexdigest()[:8]
        plain = f"{plain[: room - 9]}-{digest}"
    return prefix + plain
