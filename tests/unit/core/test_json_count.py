import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.json_count import ValueCounter

VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(['"', "\\", '\\"', ",[{", '\\\\"', "[,"]),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
)
EMPTY_TOO = st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def counted(text, *, cuts=()):
    counter = ValueCounter()
    bounds = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in itertools.pairwise(bounds):
        counter.feed(text[start:end])
    return counter.count


def plain_in(value):
    if isinstance(value, list):
        return sum(not isinstance(one, str | list | dict) for one in value) + sum(map(plain_in, value))
    return sum(map(plain_in, value.values())) if isinstance(value, dict) else 0


def values_in(value):
    if isinstance(value, list):
        return len(value) + sum(map(values_in, value))
    if isinstance(value, dict):
        return len(value) + sum(map(values_in, value.values()))
    return 0


@given(VALUES, st.lists(st.integers(min_value=0), max_size=5), st.booleans())
def test_every_member_and_element_counts_once_wherever_the_text_is_cut(value, cuts, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert counted(text, cuts=cuts) == values_in(value)


@given(VALUES | EMPTY_TOO, st.lists(st.integers(min_value=0), max_size=5))
def test_never_more_values_are_plain_than_there_are(value, cuts):
    text = json.dumps(value).encode()
    counter = ValueCounter()
    bounds = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in itertools.pairwise(bounds):
        counter.feed(text[start:end])
    assert counter.plain <= plain_in(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([1, 2, 3], 1),
        ([[1] * 30, [4] * 20], 29 + 19 + 1 - 3),
        ({"model": "m", "input": [[1] * 100] * 10}, 990 + 9 + 1 - 3 - 12),
        ({f"k{number}": number for number in range(50)}, 0),
        (["a"] * 50, 0),
        ([{"a": 1}] * 50, 0),
        ([{}] * 50, 0),
        ([[]] * 50, 0),
    ],
)
def test_the_numbers_of_arrays_are_plain(value, plain):
    counter = ValueCounter()
    counter.feed(json.dumps(value).encode())
    assert counter.plain == plain


def test_what_a_string_contains_does_not_count():
    assert counted(json.dumps(['a, [b], {c}, \\, "d, e"']).encode()) == 1


def test_an_empty_container_counts_as_one_more():
    assert counted(b"[[],{}]") == 4
