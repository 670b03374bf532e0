"""`GET /api/v1/status` in words."""

import pytest

from gateway.cli.status_report import duration, fields_of, readiness_of

STATUS = {
    "version": "1.2.3",
    "uptime_seconds": 93_780,
    "ready": True,
    "failing": [],
    "degraded": ["redis"],
    "configuration": {
        "generation": 4,
        "since": 1_795_815_200,
        "last_reload": {"status": "refused", "problems": ["gateway.port: is no number"], "needs_restart": []},
    },
    "instances": [
        {"host": "a", "process": 1, "version": "1.2.3", "generation": 4, "self": True},
        {"host": "b", "process": 2, "version": "1.2.2", "generation": 3, "self": False},
    ],
    "cooldowns": [{"provider": "openai", "model": "m", "key": "apiKey", "reason": "rate_limited", "seconds": 7}],
    "queue": {"requests": 3, "conversations": 1, "background_runs": 0, "ledger_rows": 2},
    "store": {"backend": "redis", "problem": "is full"},
    "redis": {"available": False, "reason": "refused", "latency_seconds": 0.0},
    "ledger": {"written_rows": 1, "lost_rows": 5},
    "locks": 1,
    "connections": 9,
}


def test_everything_that_needs_an_operator_is_named():
    fields = dict(fields_of(STATUS))
    assert fields["gateway"] == "version 1.2.3, up 1 d 2 h"
    assert (
        fields["config"]
        == "generation 4 since 2026-11-27T21:33:20Z, last reload refused\nrefused: gateway.port: is no number"
    )
    assert fields["instances"].splitlines() == [
        "a, process 1, version 1.2.3, generation 4 (this one)",
        "b, process 2, version 1.2.2, generation 3",
    ]
    assert fields["cooldowns"] == "openai/m with apiKey for 7 s (rate_limited)"
    assert fields["queue"].startswith(
        "3 requests, 0 background runs, 1 turn waiting for a conversation, 2 rows waiting"
    )
    assert (fields["store"], fields["redis"]) == ("redis: is full", "away: refused")
    assert (fields["ledger"], fields["locks"]) == ("1 row written, 5 lost", "1 client")
    assert readiness_of(STATUS) == "yes, degraded: redis"


def test_a_gateway_without_work_has_short_lines():
    quiet = {**STATUS, "cooldowns": [], "locks": 0, "redis": None, "ledger": None, "configuration": None}
    fields = dict(fields_of(quiet))
    assert (fields["cooldowns"], fields["locks"]) == ("none", "none")
    assert not {"redis", "ledger", "config"} & fields.keys()
    assert readiness_of({**quiet, "ready": False, "failing": ["draining"]}) == "no: draining"


@pytest.mark.parametrize(("seconds", "text"), [(59, "59 s"), (61, "1 min"), (3700, "1 h 1 min"), (90_000, "1 d 1 h")])
def test_a_duration_has_its_largest_units(seconds, text):
    assert duration(seconds) == text
