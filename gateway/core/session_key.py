"""The name of a stored conversation: whose it is, which agent it is with, and what the caller calls it.

    agent:<agent>:<name>                          conversations of the owner, and of everybody where nobody is verified
    user:<identity>:agent:<agent>:<name>          those of a user that a trusted proxy vouches for (ours)

Names are case-folded (recorded), identities are not. A caller's own words can only ever name a conversation of the
caller; the second form names somebody else's, which takes `operator.admin`.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from gateway.core.errors import BadRequest, MissingScope
from gateway.core.identity import Principal, Scope

HEADER = "x-openclaw-session-key"
RESERVED = ("subagent:", "cron:", "acp:", "harness:")
"""Beginnings of names that belong to OpenClaw itself (recorded)."""

Endpoint = Literal["openai", "openresponses"]
"""Whose `user` it is: chat's and responses' are different conversations (recorded)."""

_PRINTED = re.compile(r"(?:user:(?P<owner>[^:]+):)?agent:(?P<agent>[a-z0-9][a-z0-9_-]{0,63}):(?P<name>.+)", re.DOTALL)
_LONGEST = 1024  # characters; OpenClaw takes 600 (recorded)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """`owner` is the verified identity, None without one; `name` is folded and not blank."""

    owner: str | None
    agent: str
    name: str

    def __str__(self) -> str:
        user = "" if self.owner is None else f"user:{quote(self.owner, safe='')}:"
        return f"{user}agent:{self.agent}:{self.name}"


def parse_session_key(text: str) -> SessionKey | None:
    """Read what `str` of a key printed; None when it is no such thing."""
    match = _PRINTED.fullmatch(text)
    if match is None:
        return None
    owner = match["owner"]
    return SessionKey(None if owner is None else unquote(owner), match["agent"], match["name"])


def session_key(
    header: str | None, user: str | None, *, endpoint: Endpoint, agent: str, principal: Principal
) -> SessionKey | None:
    """The conversation that a request belongs to; None for a request that stands alone.

    The header beats `user`, and names the same conversation on both endpoints (recorded). Raises BadRequest, and
    MissingScope for somebody else's conversation.
    """
    asked = (header or "").strip()
    if asked:
        return _explicit(_checked(asked, HEADER).lower(), asked, agent, principal)
    asked = (user or "").strip()
    if not asked:
        return None
    return SessionKey(principal.name, agent, f"{endpoint}-user:{_checked(asked, 'user').lower()}")


def check_session_header(header: str | None) -> None:
    """Refuse reserved names before anything else is looked at, as recorded. Raises BadRequest."""
    if header is not None:
        name = header.strip().lower()
        key = parse_session_key(name)
        if (name if key is None else key.name).startswith(RESERVED):
            raise BadRequest(f"`{HEADER}` cannot use reserved internal session namespaces.", param=HEADER)


def _explicit(folded: str, asked: str, agent: str, principal: Principal) -> SessionKey:
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
    # Folding would turn one identity into another.
    owner = unquote(asked.split(":", 2)[1])
    if owner != principal.name and not principal.allows(Scope.ADMIN):
        raise MissingScope(Scope.ADMIN)
    return SessionKey(owner, agent, key.name)


def _checked(name: str, param: str) -> str:
    if len(name) > _LONGEST:
        raise BadRequest(f"`{param}`: a conversation's name has at most {_LONGEST} characters.", param=param)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"`{param}`: holds half of a surrogate pair, which is no character.", param=param) from None
    return name
