import pytest

from gateway.metrics.registry import Counter, Distribution, Family, Registry

REQUESTS = Family("x_requests_total", "counter", "Requests.", ("endpoint", "status"))
LOAD = Family("x_load", "gauge", "Load.", ("part",))
SECONDS = Family("x_seconds", "histogram", "Seconds.", ("endpoint",), buckets=(0.1, 1.0))


def test_the_same_labels_are_the_same_series():
    registry = Registry()
    registry.counter(REQUESTS, "/a", "2xx").add()
    registry.counter(REQUESTS, "/a", "2xx").add(2)
    registry.counter(REQUESTS, "/a", "4xx").add()
    assert registry.snapshot() == {
        "x_requests_total": {'endpoint="/a",status="2xx"': 3, 'endpoint="/a",status="4xx"': 1}
    }


def test_a_value_on_a_bound_belongs_to_its_bucket():
    registry = Registry()
    seconds = registry.histogram(SECONDS, "/a")
    for value in (0.05, 0.1, 0.2, 5.0):
        seconds.observe(value)
    assert registry.snapshot()["x_seconds"]['endpoint="/a"'] == Distribution([2, 1, 1], pytest.approx(5.35))


def test_a_snapshot_does_not_change_any_more():
    registry = Registry()
    seconds = registry.histogram(SECONDS, "/a")
    snapshot = registry.snapshot()
    seconds.observe(0.05)
    assert snapshot["x_seconds"]['endpoint="/a"'] == Distribution([0, 0, 0], 0.0)


def test_beyond_the_cap_series_are_dropped_and_counted_and_old_ones_go_on():
    registry = Registry(max_samples=3)
    first = registry.counter(REQUESTS, "/0", "2xx")
    for number in range(1, 1000):
        registry.counter(REQUESTS, f"/{number}", "2xx").add()
    first.add()
    assert registry.snapshot()["x_requests_total"] == {
        'endpoint="/0",status="2xx"': 1,
        'endpoint="/1",status="2xx"': 1,
        'endpoint="/2",status="2xx"': 1,
    }
    assert registry.dropped.value == 997


def test_a_histogram_takes_the_room_of_all_its_samples():
    registry = Registry(max_samples=6)
    registry.histogram(SECONDS, "/a")  # three buckets, sum and count
    registry.counter(REQUESTS, "/a", "2xx")
    registry.counter(REQUESTS, "/a", "4xx")
    assert registry.dropped.value == 1


def test_forgotten_gauges_make_room_for_others():
    registry = Registry(max_samples=2)
    for round_number in range(10):
        registry.forget(LOAD)
        registry.gauge(LOAD, f"a{round_number}").set(1)
        registry.gauge(LOAD, f"b{round_number}").set(2)
    assert registry.snapshot()["x_load"] == {'part="a9"': 1, 'part="b9"': 2}
    assert registry.dropped.value == 0


def test_the_wrong_number_of_labels_is_a_mistake():
    with pytest.raises(ValueError, match="x_requests_total has the labels"):
        Registry().counter(REQUESTS, "/a")


def test_a_gauge_goes_both_ways():
    gauge = Registry().gauge(LOAD, "a")
    gauge.add(2)
    gauge.add(-1)
    assert gauge.value == 1
    assert Counter().value == 0
