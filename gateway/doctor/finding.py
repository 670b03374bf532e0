"""One finding: what was seen and what to do. Its kind has the severity and why it matters."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from gateway.doctor.kinds import KINDS, Kind, Severity
from gateway.observe.redact import HIDDEN

_MIN_SECRET = 4  # characters; a shorter one would damage words


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is the exact command or key to change. `mode` is the file mode that would remove the finding: the only
    repair that `--fix` makes. `kind` is that of the id, unless a newer gateway has sent an id that is unknown here.
    """

    id: str
    seen: str
    fix: str
    mode: tuple[Path, int] | None = None
    kind: Kind | None = None

    @classmethod
    def from_dict(cls, fields: Any) -> Self:
        """What `as_dict` of another process returned. Raises KeyError."""
        return cls(fields["id"], fields["seen"], fields["fix"], kind=Kind(fields["severity"], fields["why"]))

    @property
    def severity(self) -> Severity:
        """That of its kind."""
        return (self.kind or KINDS[self.id]).severity

    @property
    def why(self) -> str:
        """That of its kind."""
        return (self.kind or KINDS[self.id]).why

    def as_dict(self) -> dict[str, str]:
        """`id`, `severity`, `seen`, `why`, `fix`."""
        return {"id": self.id, "severity": self.severity, "seen": self.seen, "why": self.why, "fix": self.fix}

    def without(self, secrets: Collection[str]) -> "Finding":
        """The same finding with each of the secrets replaced by `[redacted]`, as nothing else may print one."""
        seen, fix = self.seen, self.fix
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _MIN_SECRET:
                seen, fix = seen.replace(secret, HIDDEN), fix.replace(secret, HIDDEN)
        return replace(self, seen=seen, fix=fix)
