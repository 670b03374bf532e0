"""docs/metrics.md names every metric as the code does."""

from pathlib import Path

from gateway.metrics.catalog import FAMILIES
from gateway.metrics.registry import Family

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "\N{EN DASH}"
    return f"| `{family.name}` | {family.kind} | {labels} | {family.merge} | {family.help} |"


def test_the_page_has_the_table_of_the_code():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [row(family) for family in FAMILIES]


def test_no_label_can_name_a_person_or_a_request():
    labels = {label for family in FAMILIES for label in family.labels}
    assert labels.isdisjoint({"user", "key", "session", "path", "request_id", "client", "identity", "caller"})
