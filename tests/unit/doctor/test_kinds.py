"""docs/doctor.md names every id as the code does."""

import re
from pathlib import Path

from gateway.doctor.kinds import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def test_the_page_lists_every_id_with_its_severity_and_why_it_matters():
    rows = re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(name, kind.severity, kind.why) for name, kind in KINDS.items()]


def test_the_page_says_what_to_type_for_every_error_and_warning():
    _, _, section = PAGE.read_text().partition("\n## What to type\n")
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    ids = {name for row in rows for name in re.findall(r"`([a-z-]+\.[a-z-]+)`", row)}
    assert ids <= set(KINDS)
    assert {name for name, kind in KINDS.items() if kind.severity != "info"} <= ids
    assert len(rows) >= 40
