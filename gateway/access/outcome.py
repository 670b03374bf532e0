"""What authentication found: a principal or a reason. Reported, never raised; `lockout` decides what is told."""

from dataclasses import dataclass, field
from typing import Literal

from gateway.core.identity import Principal

Credential = Literal["token", "password"]
"""Class of a guessable secret; failures are counted per class and client."""

Reason = Literal["missing", "wrong", "refused"]
"""Why a caller is not let in: no credential at all, a credential that does not match, or a caller that no credential
could help (identity or Origin). Only `wrong` is counted (recorded)."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The caller is known. `credential` names the secret it proved, None when it needed none."""

    principal: Principal
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The caller is not let in. `credential` names the secret it would need, None when failures can't be guesses.

    `why` is for the operator's log: which rule it was, never a value that the caller sent. Callers are not told.
    """

    reason: Reason
    credential: Credential | None = None
    why: str = field(default="refused", compare=False)


Outcome = Authenticated | Rejected
