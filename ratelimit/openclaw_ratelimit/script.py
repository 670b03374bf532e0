"""A Lua script of the shared storage."""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, called by its digest; the storage gets its source when it does not know it yet."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def beside(cls, package: str, file: str) -> "Script":
        """The script in a `.lua` file of a package: `Script.beside(__package__, "acquire.lua")`."""
        return cls(files(package).joinpath(file).read_text(encoding="utf-8"))
