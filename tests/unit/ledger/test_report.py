"""Sums of the ledger."""

import pytest
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.ledger import report as reports
from gateway.ledger.report import DIMENSIONS, OTHERS, report, rows
from gateway.ledger.row import Row, Rows, compress, decode_rows, encode_rows

ROW = Row(
    100.0, "r", 1, "main", "owner", "", "/v1/chat/completions", "openai", "gpt", "openai-responses", "apiKey",
    10, 4, 0, 5, 2, 1_000_000, "a list", "2026-01-02", "answered", "", 200, 1.0, None, False, False, "provider",
)  # fmt: skip


class Store:
    def __init__(self, *segments):
        self.segments = segments

    async def read(self, since):
        assert since <= 1000
        yield [compress(encode_rows(segment)) for segment in self.segments]


def store(*all_rows, lost=0):
    return Store(Rows(all_rows, lost))


def test_a_row_is_stored_unchanged():
    assert decode_rows(compress(encode_rows(Rows((ROW,), 3)))) == Rows([ROW], 3)


async def test_rows_are_summed_by_their_columns():
    failed = replace(ROW, agent="other", outcome="failed", error="overloaded", absorbed=True)
    failed = replace(failed, cost=None, prompt=0, completion=0)
    result = await report(store(ROW, ROW, failed, lost=7), 0.0, 200.0, ("agent", "outcome"))
    assert result.groups.keys() == {("main", "answered"), ("other", "overloaded")}
    totals = result.total
    assert (totals.attempts, totals.answered, totals.failed, totals.absorbed) == (3, 2, 1, 1)
    assert (totals.prompt, totals.cached, totals.completion, totals.reasoning) == (20, 12, 10, 6)
    assert (totals.cost, totals.unpriced) == (2_000_000, 0)
    assert totals.as_dict()["cost"] == 0.002
    assert result.lost == 7


@pytest.mark.parametrize(("since", "until", "number"), [(100.0, 101.0, 1), (99.0, 100.0, 0), (100.1, 200.0, 0)])
async def test_a_period_includes_its_begin_and_not_its_end(since, until, number):
    assert (await report(store(ROW), since, until, ("agent",))).total.attempts == number


async def test_a_cost_without_any_known_price_is_unknown_and_a_partly_known_one_says_what_is_missing():
    unpriced = replace(ROW, cost=None)
    assert (await report(store(unpriced), 0.0, 200.0, ("agent",))).total.as_dict()["cost"] is None
    totals = (await report(store(unpriced, ROW), 0.0, 200.0, ("agent",))).total.as_dict()
    assert (totals["cost"], totals["unpriced_attempts"]) == (0.001, 1)


async def test_nothing_costs_nothing():
    assert (await report(store(), 0.0, 200.0, ("agent",))).total.as_dict()["cost"] == 0


async def test_one_caller_gets_only_its_own_rows_and_not_the_losses_of_all():
    mixed = store(ROW, replace(ROW, caller="user:ann"), lost=7)
    result = await report(mixed, 0.0, 200.0, ("caller",), caller="user:ann")
    assert (list(result.groups), result.total.attempts, result.lost) == ([("user:ann",)], 1, 0)
    pages = [page async for page in rows(mixed, 0.0, 200.0, caller="user:ann")]
    assert [row.caller for page in pages for row in page] == ["user:ann"]


async def test_the_number_of_groups_is_bounded(monkeypatch):
    monkeypatch.setattr(reports, "MAX_GROUPS", 2)
    result = await report(store(*(replace(ROW, caller=name) for name in "abcd")), 0.0, 200.0, ("caller",))
    assert result.groups.keys() == {("a",), ("b",), (OTHERS,)}
    assert result.groups[OTHERS,].attempts == 2


def test_every_column_gives_a_text():
    assert {name: column(ROW) for name, column in DIMENSIONS.items()} == {
        "day": "1970-01-01",
        "agent": "main",
        "model": "openai/gpt",
        "provider": "openai",
        "caller": "owner",
        "outcome": "answered",
        "endpoint": "/v1/chat/completions",
        "key": "openai apiKey",
        "session": "",
    }


@pytest.mark.parametrize("damaged", [b"", b"garbage", compress(b"[1]"), compress(b"{"), compress(b"[[[]],0]")])
async def test_a_damaged_segment_hides_no_other(damaged):
    class Damaged(Store):
        async def read(self, since):
            yield [damaged]
            async for page in super().read(since):
                yield [*page, damaged]

    assert (await report(Damaged(Rows((ROW,), 2)), 0.0, 200.0, ("agent",))).total.attempts == 1
    assert [page async for page in rows(Damaged(Rows((ROW,), 2)), 0.0, 200.0)] == [[ROW]]


async def test_a_store_that_is_away_is_an_error():
    class Away:
        async def read(self, _since):
            raise Unavailable("away")
            yield

    with pytest.raises(Unavailable):
        await report(Away(), 0.0, 200.0, ("agent",))
