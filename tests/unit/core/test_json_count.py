import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.json_count import ValueCounter

VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(['"', "\\", '\\"', ",[{", '\\\\"', "[,"]),
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
)


def counted(text, *, cuts=()):
    counter = ValueCounter()
    bounds = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in itertools.pairwise(bounds):
        counter.feed(text[start:end])
    return counter.count


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


def test_what_a_string_contains_does_not_count():
    assert counted(json.dumps(['a, [b], {c}, \\, "d, e"']).encode()) == 1


def test_an_empty_container_counts_as_one_more():
    assert counted(b"[[],{}]") == 4
