"""Names of items. They say which response an item belongs to, so that an `item_reference` finds it without an index."""

import re
from dataclasses import dataclass
from typing import Literal

_OURS = re.compile(r"[a-z]{2,8}_([0-9a-f-]{36})_(i?)(\d{1,6})")


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """Where an item stands: at `index` of a response's `input` or `output`."""

    response: str
    side: Literal["input", "output"]
    index: int


def output_id(kind: str, response: str, index: int) -> str:
    """The name of an item that a response has said; `kind` is `msg` or `fc`."""
    return f"{kind}_{response.removeprefix('resp_')}_{index}"


def input_id(kind: str, response: str, index: int) -> str:
    """The name of an item that a response was asked with."""
    return f"{kind}_{response.removeprefix('resp_')}_i{index}"


def place_of(item: str) -> ItemPlace | None:
    """Where the item of this name stands; None for a name that was not made here."""
    found = _OURS.fullmatch(item)
    if found is None:
        return None
    return ItemPlace(f"resp_{found[1]}", "input" if found[2] else "output", int(found[3]))
