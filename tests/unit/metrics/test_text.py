import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics.catalog import FAMILIES
from gateway.metrics.registry import MAX_SAMPLES, Family, Registry
from gateway.metrics.text import number, rendered

COUNTS = Family("x_total", "counter", 'Backslash \\ and\nline break and "quote".', ("name",))
PLAIN = Family("x_now", "gauge", "Now.")
SECONDS = Family("x_seconds", "histogram", "Seconds.", ("name",), buckets=(0.1, 1.0))


def parsed(registry: Registry, *families: Family) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = rendered(families, registry.snapshot()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_label_value_survives_the_way_to_prometheus(value: str):
    registry = Registry()
    registry.counter(COUNTS, value).add(7)
    assert parsed(registry, COUNTS) == {("x_total", (("name", value),)): 7}


def test_help_is_one_line():
    registry = Registry()
    registry.counter(COUNTS, "a").add()
    text = rendered((COUNTS,), registry.snapshot()).decode()
    (family,) = text_string_to_metric_families(text)
    assert family.documentation == COUNTS.help
    assert len(text.splitlines()) == 3


def test_a_histogram_is_cumulated_and_ends_with_infinity():
    registry = Registry()
    for value in (0.05, 0.5, 0.5, 9.0):
        registry.histogram(SECONDS, "a").observe(value)
    name = ("name", "a")
    assert parsed(registry, SECONDS) == {
        ("x_seconds_bucket", (("le", "0.1"), name)): 1,
        ("x_seconds_bucket", (("le", "1"), name)): 3,
        ("x_seconds_bucket", (("le", "+Inf"), name)): 4,
        ("x_seconds_sum", (name,)): pytest.approx(10.05),
        ("x_seconds_count", (name,)): 4,
    }


def test_a_series_without_labels_has_no_braces():
    registry = Registry()
    registry.gauge(PLAIN).set(2.5)
    assert rendered((PLAIN,), registry.snapshot()) == b"# HELP x_now Now.\n# TYPE x_now gauge\nx_now 2.5\n"


def test_a_family_without_a_series_is_left_out():
    assert rendered(FAMILIES, {}) == b""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (3.0, "3"),
        (0.25, "0.25"),
        (1e300, "1e+300"),
        (2**60, str(float(2**60))),
        (math.inf, "+Inf"),
        (True, "1"),
    ],
)
def test_numbers_are_exact_and_short(value: float, text: str):
    assert number(value) == text


def test_the_largest_possible_scrape_takes_less_than_20_milliseconds_of_this_process():
    registry = Registry()
    number_of = 0
    while not registry.dropped.value:
        registry.counter(COUNTS, f"some/route/of/usual/length/{number_of}").add(number_of)
        registry.histogram(SECONDS, f"model-{number_of}").observe(0.3)
        number_of += 1
    durations = []
    while len(durations) < 50 and min(durations, default=1.0) >= 0.020:
        began = time.thread_time()  # not the time of others on a busy machine
        text = rendered((COUNTS, SECONDS), registry.snapshot())
        durations.append(time.thread_time() - began)
    assert text.count(b"\n") >= MAX_SAMPLES
    assert min(durations) < 0.020


def test_names_follow_the_conventions_of_prometheus():
    for family in FAMILIES:
        assert family.name.startswith(("openclaw_", "process_"))
        assert (family.kind == "counter") == family.name.endswith("_total")
        assert (family.kind == "histogram") == bool(family.buckets)
        assert family.kind != "histogram" or family.name.endswith("_seconds")
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
