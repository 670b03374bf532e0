"""How the commands print: aligned and emphasised on a terminal, plain on a pipe, without control characters on both."""

import os
import sys
from collections.abc import Iterable, Sequence

from gateway.core.printable import printable

BOLD = "1"


def on_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def styled(text: str, code: str = BOLD) -> str:
    """The text in a style of ECMA-48, such as 1 (bold) or 31 (red); unchanged on a pipe and with NO_COLOR."""
    return f"\x1b[{code}m{text}\x1b[0m" if on_terminal() and "NO_COLOR" not in os.environ else text


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0, is_report: bool = False
) -> None:
    """Print rows: in columns under their heads on a terminal, the last `numbers` of them right-aligned; on a pipe
    separated by tabs, without heads unless it `is_report`: its numbers mean nothing without them.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    if not on_terminal():
        for row in [list(heads), *shown] if is_report else shown:
            print("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(heads, *shown, strict=True)]
    texts = len(heads) - numbers
    for number, row in enumerate([list(heads), *shown]):
        cells = [
            cell.ljust(width) if index < texts else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        print(line if number else styled(line))


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print named values below each other; further lines of a value are indented."""
    pairs = list(fields)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        first, *others = [printable(line) for line in value.split("\n")]
        print(f"{styled(name.ljust(width))}  {first}".rstrip())
        for line in others:
            print(f"{' ' * width}  {line}")


def amount(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
