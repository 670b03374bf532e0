"""The outcome of authentication: a principal or a reason. `lockout` turns it into a response."""

from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from gateway.core.identity import Principal

Credential = Literal["token", "password"]
"""The class of a guessable secret. Failures count per class and client."""

Reason = Literal["missing", "wrong", "refused", "unverifiable"]
"""Why a caller is refused: it sent no credential, it sent a wrong credential, its identity, key or Origin is not
allowed, or its key can't be checked now. Only `wrong` counts as a failure (recorded)."""


class Authenticated(Struct, frozen=True):
    """The caller is authenticated. `credential` is the class of secret that it presented, None if it needed none."""

    principal: Principal
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The caller is refused. `credential` is the class of secret that it needs, None if a failure can't be a guess.

    `why` names the rule for the operator's log and never contains a value from the request. The client does not see it.
    """

    reason: Reason
    credential: Credential | None = None
    why: str = field(default="refused", compare=False)


Outcome = Authenticated | Rejected
