"""What all sections of the configuration share: frozen, strict about names, camelCase in the file.

A section lists its keys without effect (`UNUSED`, `INERT`) and older spellings (`RENAMED`); the walk in
`gateway.config.shape` reads them. Nothing here knows a particular section.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """One object of the configuration. Unknown names are errors; see `UNUSED` and `RENAMED` for the exceptions.

    Every field has a reader outside the models, or stands in `INERT`: a test compares both.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        # An error text that quotes its input could print a secret.
        hide_input_in_errors=True,
    )

    UNUSED: ClassVar[frozenset[str]] = frozenset()
    """OpenClaw's own keys in this section that are accepted unread and have no effect here."""
    INERT: ClassVar[frozenset[str]] = frozenset()
    """Names of fields that are checked and have no effect in this version; with a section, all of it."""
    RENAMED: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Other spellings: key in the file → the key that it means."""


Milliseconds = Annotated[int, Field(gt=0, le=10**12)]
Count = Annotated[int, Field(ge=0, le=2**53)]
PositiveCount = Annotated[int, Field(gt=0, le=2**53)]
Seconds = Annotated[float, Field(gt=0)]
