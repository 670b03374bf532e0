import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.core.jsonio import (
    InvalidJSON,
    NotAnObject,
    StructDecoder,
    WrongShape,
    decoded,
    dumps,
    dumps_each,
    entries_of,
    fields_of,
    loads,
    loads_tolerant,
)

ANYTHING: StructDecoder = StructDecoder(Any)

ANY_TEXT = st.text(st.characters(codec=None), max_size=8)  # lone surrogates too
INTEGERS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_value_survives_encoding_and_decoding(value):
    assert loads(dumps(value)) == value


@given(JSON)
def test_the_fast_and_the_tolerant_codec_agree(value):
    assert loads_tolerant(dumps(value)) == value


@given(st.lists(JSON, max_size=4))
def test_joined_documents_decode_like_single_ones_if_all_are_strict(values):
    read = ANYTHING.decode_joined(b",".join(dumps(value) for value in values), len(values))
    assert read == (values if all(is_encodable(value) for value in values) else None)


def is_encodable(value):
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    "documents",
    [
        [b"1,2"],
        [b"1", b"2,3"],
        [b""],
        [b"1", b""],
        [b"[1", b"2]"],
        [b'{"a":1', b'"b":2}'],
        [b"1]", b"[2"],
    ],
    ids=repr,
)
def test_a_wrong_number_of_documents_is_not_decoded_together(documents):
    assert ANYTHING.decode_joined(b",".join(documents), len(documents)) is None


def test_joining_no_documents_gives_no_values():
    assert ANYTHING.decode_joined(b"", 0) == []


def test_encoded_json_is_compact_utf_8():
    assert dumps({"a": ["é", 1.5, None, True]}) == '{"a":["é",1.5,null,true]}'.encode()


def test_a_lone_surrogate_is_written_as_an_escape():
    assert dumps("\ud83d") == b'"\\ud83d"'


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**40])
def test_numbers_beyond_64_bits_are_written_exactly(number):
    assert dumps(number) == str(number).encode()


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b'{"a":Infinity}'])
def test_non_json_numbers_are_refused(text):
    with pytest.raises(InvalidJSON, match="not valid JSON"):
        loads(text)


@pytest.mark.parametrize("text", [b"", b" ", b"{", b"nul", b"'a'", b"[1,]", b'{"a":1,}', b"1 2", b'"\n"', b"\x00"])
def test_invalid_json_is_refused_with_its_position_but_without_its_text(text):
    with pytest.raises(InvalidJSON, match=r"^not valid JSON at line \d+, column \d+$"):
        loads(text)


def test_a_byte_order_mark_is_skipped():
    assert loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_broken_utf_8_is_replaced():
    assert loads(b'"a\xffb"') == "a\N{REPLACEMENT CHARACTER}b"


def test_the_last_of_two_equal_keys_counts():
    assert loads(b'{"a":1,"a":2}') == {"a": 2}


def test_unbounded_nesting_is_refused():
    with pytest.raises(InvalidJSON, match="nested too deeply"):
        loads(b"[" * 100_000 + b"]" * 100_000)


@given(st.lists(ANY_TEXT, max_size=4))
def test_several_texts_are_encoded_like_single_ones(texts):
    assert dumps_each(texts) == [dumps(text) for text in texts]


OBJECTS = st.dictionaries(ANY_TEXT, JSON, max_size=4)


@given(OBJECTS)
def test_an_object_is_decoded_except_for_objects_in_its_arrays(value):
    cut_fields = fields_of(dumps(value))
    assert {name: decoded(field) if isinstance(field, list) else field for name, field in cut_fields.items()} == value
    for field in cut_fields.values():
        cut = [entry for entry in field if isinstance(entry, dict)] if isinstance(field, list) else []
        assert all(isinstance(written, Raw) for fields in cut for written in fields.values())


@given(OBJECTS)
def test_raw_fields_are_encoded_unchanged(value):
    assert loads(dumps(fields_of(dumps(value)))) == value


@given(st.lists(OBJECTS | JSON, max_size=4))
def test_a_raw_array_is_split_into_its_entries(values):
    assert decoded(entries_of(Raw(dumps(values)))) == values


def test_of_two_fields_of_one_name_the_last_counts():
    assert fields_of(b'{"a":1,"a":2}') == {"a": 2}
    assert fields_of(b'{"a":[{"b":1,"b":2}]}') == {"a": [{"b": Raw(b"2")}]}


def test_raw_fields_are_valid_utf_8():
    assert decoded(fields_of(b'{"a":[{"b":"\xff"}]}')["a"]) == [{"b": "\N{REPLACEMENT CHARACTER}"}]


@pytest.mark.parametrize("document", [b"[]", b"null", b'"a"', b"[\xff]".replace(b"\xff", b'"\xff"')])
def test_a_document_that_is_no_object_is_refused(document):
    with pytest.raises(NotAnObject):
        fields_of(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b'{"a":}',
        b'{"a":NaN}',
        b'{"a":"\x01"}',
        b'{"a":"\\q"}',
        b'{"a":01}',
        b'{"a":1}x',
        b'{"a":' + b"[" * 10**5,
    ],
)
def test_fields_of_invalid_json_are_refused(document):
    with pytest.raises(InvalidJSON):
        fields_of(document)


@pytest.mark.parametrize("document", [b"1e999", b'["\xff",-1e999]'])
def test_a_number_beyond_all_range_is_refused(document):
    with pytest.raises(InvalidJSON, match="out of range"):
        loads(document)


def test_a_lone_surrogate_hides_no_wrong_type():
    shape = StructDecoder(dict[str, int])
    with pytest.raises(WrongShape, match=r"Expected `int`, got `str` - at `\$\[...\]`"):
        shape.read(b'{"a":"\\ud83d"}')
    assert StructDecoder(int | None).read(b"null") is None
    with pytest.raises(WrongShape, match="Expected `int"):
        StructDecoder(int | None).read(b'"\\ud83d"')


def test_raw_text_is_encoded_unchanged_beside_any_other_value():
    assert loads(dumps({"a": Raw(b'"\\u0041"'), "b": "\ud83d"})) == {"a": "A", "b": "\ud83d"}


@pytest.mark.parametrize("digits", [4301, 100_000])
def test_an_integer_with_too_many_digits_is_invalid_json(digits):
    with pytest.raises(InvalidJSON, match="too many digits"):
        loads(b'{"a":' + b"1" * digits + b"}")
