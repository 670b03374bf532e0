"""`@value`: a dataclass whose instances nobody changes, for the values that a request makes by the hundred.

A frozen dataclass costs three times as much to create, because it sets each field through `object.__setattr__`. Here
the type checker forbids assignment instead, and equality is by content all the same.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make `cls` a slotted dataclass that mypy treats as frozen. Equality of its own must come with its own hash."""
    own = "__eq__" in cls.__dict__
    return dataclass(slots=True, eq=not own, unsafe_hash=not own)(cls)
