"""Ids of items. An id names the response that holds the item, so that an `item_reference` needs no index."""

import re
from dataclasses import dataclass
from typing import Literal

_OURS = re.compile(r"[a-z]{2,8}_([0-9a-f-]{36})_(i?)(\d{1,6})")


@dataclass(frozen=True, slots=True)
class ItemPosition:
    """The position of an item: `index` in a response's `input` or `output`."""

    response: str
    side: Literal["input", "output"]
    index: int


def output_id(kind: str, response: str, index: int) -> str:
    """The id of an item in a response's output; `kind` is `msg`, `fc` or `rs`."""
    return f"{kind}_{response.removeprefix('resp_')}_{index}"


def input_id(kind: str, response: str, index: int) -> str:
    """The id of an item in a response's input."""
    return f"{kind}_{response.removeprefix('resp_')}_i{index}"


def position_of(item: str) -> ItemPosition | None:
    """The position of the item with this id; None for an id that the gateway did not create."""
    match = _OURS.fullmatch(item)
    if match is None:
        return None
    return ItemPosition(f"resp_{match[1]}", "input" if match[2] else "output", int(match[3]))
