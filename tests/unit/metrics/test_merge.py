import pytest

from gateway.metrics.merge import Merged
from gateway.metrics.registry import Distribution, Family, Registry

COUNT = Family("x_total", "counter", "Count.", ("a",))
LOAD = Family("x_load", "gauge", "Load.")
OLDEST = Family("x_started", "gauge", "Start.", merge="min")
WORST = Family("x_delay", "gauge", "Delay.", merge="max")
NEWEST = Family("x_generation", "gauge", "Generation.", merge="latest")
SECONDS = Family("x_seconds", "histogram", "Seconds.", buckets=(1.0,))
FAMILIES = (COUNT, LOAD, OLDEST, WORST, NEWEST, SECONDS)


@pytest.fixture
def merged() -> Merged:
    return Merged(FAMILIES)


def process(count: float, load: float) -> Registry:
    registry = Registry()
    registry.counter(COUNT, "1").add(count)
    for family in (LOAD, OLDEST, WORST, NEWEST):
        registry.gauge(family).set(load)
    registry.histogram(SECONDS).observe(load)
    return registry


def test_each_family_is_merged_by_its_rule(merged: Merged):
    merged.put(1, process(2, 5).snapshot())
    merged.put(2, process(3, 0.5).snapshot())
    assert merged.snapshot() == {
        "x_total": {'a="1"': 5},
        "x_load": {"": 5.5},
        "x_started": {"": 0.5},
        "x_delay": {"": 5},
        "x_generation": {"": 0.5},
        "x_seconds": {"": Distribution([1, 1], 5.5)},
    }


def test_a_newer_snapshot_replaces_the_older_one_and_is_the_latest(merged: Merged):
    merged.put(1, process(2, 5).snapshot())
    merged.put(2, process(3, 7).snapshot())
    merged.put(1, process(4, 9).snapshot())
    now = merged.snapshot()
    assert now["x_total"] == {'a="1"': 7}
    assert now["x_generation"] == {"": 9}


def test_what_an_ended_process_has_counted_stays_and_its_gauges_go(merged: Merged):
    merged.put(1, process(2, 5).snapshot())
    merged.put(2, process(3, 0.5).snapshot())
    merged.end(1)
    merged.put(3, process(10, 1).snapshot())  # in its place
    merged.end(3)
    merged.end(4)  # has never sent anything
    assert merged.snapshot() == {
        "x_total": {'a="1"': 15},
        "x_load": {"": 0.5},
        "x_started": {"": 0.5},
        "x_delay": {"": 0.5},
        "x_generation": {"": 0.5},
        "x_seconds": {"": Distribution([2, 1], 6.5)},
    }


def test_a_family_of_another_version_is_ignored(merged: Merged):
    merged.put(1, {"y_total": {"": 1}})
    assert merged.snapshot() == {}
    merged.end(1)
    assert merged.snapshot() == {}


def test_series_of_one_process_only_stay_as_they_are(merged: Merged):
    registry = Registry()
    registry.counter(COUNT, "2").add()
    merged.put(1, process(2, 5).snapshot())
    merged.put(2, registry.snapshot())
    assert merged.snapshot()["x_total"] == {'a="1"': 2, 'a="2"': 1}


def test_a_family_that_another_version_sends_differently_is_left_out(merged: Merged):
    merged.put(1, {"x_total": {"": 1}, "x_seconds": {"": Distribution([1, 2], 1.0)}})
    merged.put(
        2, {"x_total": {"": Distribution([1, 2], 1.0)}, "x_seconds": {"": Distribution([1], 1.0)}, "x_load": {"": 2}}
    )
    merged.end(2)
    assert merged.snapshot() == {"x_total": {"": 1}, "x_seconds": {"": Distribution([1, 2], 1.0)}}
