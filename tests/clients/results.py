"""The outcomes of a run by cell, in a file, so that an interrupted run can go on."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

PASSED = "ok"
UNABLE = "-"


class Cell(Struct, frozen=True):
    """A scenario of a client, in one version, with a provider."""

    client: str
    version: str
    scenario: str
    provider: str


class Result(Struct, frozen=True):
    """What came of a cell: PASSED, UNABLE, or what went wrong."""

    cell: Cell
    outcome: str

    @property
    def failed(self) -> bool:
        return self.outcome not in (PASSED, UNABLE)


class Results:
    """The last result of each cell; `file` has one result a line."""

    def __init__(self, file: Path, *, resume: bool) -> None:
        self._file = file
        self._by_cell = {result.cell: result for result in _read(file)} if resume else {}

    def done(self, cell: Cell) -> Result | None:
        """The result of a cell that need not run again."""
        result = self._by_cell.get(cell)
        return None if result is None or result.failed else result

    def add(self, result: Result) -> None:
        self._by_cell[result.cell] = result
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(result) + b"\n")


def counts(results: Iterable[Result]) -> dict[str, int]:
    """The number of cells that passed, that the client can't do, and that failed."""
    outcomes = Counter("failed" if result.failed else result.outcome for result in results)
    return {"passed": outcomes[PASSED], "the client's own limits": outcomes[UNABLE], "failed": outcomes["failed"]}


def row_of(name: str, outcomes: Iterable[str]) -> str:
    """A row of a table in Markdown; what went wrong is printed elsewhere."""
    cells = [outcome if outcome in (PASSED, UNABLE) else "FAILED" for outcome in outcomes]
    return f"| {' | '.join([name, *cells])} |"


def _read(file: Path) -> list[Result]:
    """The results of the file. The incomplete line of a killed run is removed from it."""
    if not file.exists():
        return []
    written = file.read_bytes()
    whole, _, partial = written.rpartition(b"\n")
    if partial:
        os.truncate(file, len(written) - len(partial))
    return [msgspec.json.decode(line, type=Result) for line in whole.splitlines()]
