"""The key of a stored conversation: its owner, its agent, and the client's name for it.

    agent:<agent>:<name>                          conversations of the owner, and of callers without an identity
    user:<identity>:agent:<agent>:<name>          conversations of a user that a trusted proxy verified (ours)

Names are case-folded (recorded), identities are not. A client's name always means a conversation of the same caller.
The second form addresses another user's conversation and needs an administrator (`Principal.administers`).
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from gateway.core.errors import BadRequest, MissingScope
from gateway.core.identity import Principal, Scope

HEADER = "x-openclaw-session-key"
RESERVED = ("subagent:", "cron:", "acp:", "harness:")
"""Prefixes that OpenClaw reserves for itself (recorded)."""

Endpoint = Literal["openai", "openresponses", "messages"]
"""The endpoint that received `user`. Each has conversations of its own (recorded of chat and responses)."""

_PRINTED = re.compile(r"(?:user:(?P<owner>[^:]+):)?agent:(?P<agent>[a-z0-9][a-z0-9_-]{0,63}):(?P<name>.+)", re.DOTALL)
_MAX_NAME_CHARS = 1024  # OpenClaw accepts 600 (recorded)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """`owner` is the verified identity, None without one. `name` is case-folded and not blank."""

    owner: str | None
    agent: str
    name: str

    def __str__(self) -> str:
        user = "" if self.owner is None else f"user:{quote(self.owner, safe='')}:"
        return f"{user}agent:{self.agent}:{self.name}"


def parse_session_key(text: str) -> SessionKey | None:
    """Parse the `str` of a key. Returns None for any other text."""
    match = _PRINTED.fullmatch(text)
    if match is None:
        return None
    owner = match["owner"]
    return SessionKey(None if owner is None else unquote(owner), match["agent"], match["name"])


def session_key(
    header: str | None, user: str | None, *, endpoint: Endpoint, agent: str, principal: Principal
) -> SessionKey | None:
    """The conversation of a request, None for a stateless request.

    The header wins over `user`, and names the same conversation on both endpoints (recorded). Raises BadRequest, and
    MissingScope for another user's conversation.
    """
    name = (header or "").strip()
    if name:
        return _from_header(_checked(name, HEADER).lower(), name, agent, principal)
    name = (user or "").strip()
    if not name:
        return None
    return SessionKey(principal.name, agent, f"{endpoint}-user:{_checked(name, 'user').lower()}")


def check_session_header(header: str | None) -> None:
    """Refuse reserved names. This check runs before all others (recorded). Raises BadRequest."""
    if header is not None:
        name = header.strip().lower()
        key = parse_session_key(name)
        if (name if key is None else key.name).startswith(RESERVED):
            raise BadRequest(f"`{HEADER}` cannot use reserved internal session namespaces.", param=HEADER)


def _from_header(folded: str, name: str, agent: str, principal: Principal) -> SessionKey:
    key = parse_session_key(folded)
    if key is None:
        return SessionKey(principal.name, agent, folded)
    if key.agent != agent:
        raise BadRequest(
            f"`{HEADER}` names a conversation with agent '{key.agent}', but the request is for agent '{agent}'.",
            param=HEADER,
        )
    if key.owner is None:
        return SessionKey(principal.name, agent, key.name)
    # Case-folding would change the identity, so it comes from the original text.
    owner = unquote(name.split(":", 2)[1])
    if owner != principal.name and not principal.administers:
        raise MissingScope(Scope.ADMIN)
    return SessionKey(owner, agent, key.name)


def _checked(name: str, param: str) -> str:
    if len(name) > _MAX_NAME_CHARS:
        raise BadRequest(f"`{param}`: a conversation's name has at most {_MAX_NAME_CHARS} characters.", param=param)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"`{param}`: contains half of a surrogate pair; send whole characters.", param=param) from None
    return name
