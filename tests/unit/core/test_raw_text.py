import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.core.message import NO_EXTRAS, Extras, Text
from gateway.core.raw_text import first_character, is_blank, is_empty, is_string, text_of

ANY_TEXT = st.text(st.characters(codec=None), max_size=6)  # lone surrogates too


def forms(text):
    """All forms of a text."""
    escaped = json.dumps(text)
    plain = json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return [text, Raw(escaped.encode()), *([Raw(plain)] if text.isprintable() else [])]


@given(ANY_TEXT)
def test_equal_texts_in_different_forms_are_equal(text):
    for form in forms(text):
        assert text_of(form) == text
        assert Text(form) == Text(text)
        assert hash(Text(form)) == hash(Text(text))


@given(ANY_TEXT)
def test_blankness_does_not_depend_on_the_form_of_a_text(text):
    assert {is_blank(form) for form in forms(text)} == {not text.strip()}


@given(ANY_TEXT)
def test_first_character_and_emptiness_do_not_depend_on_the_form_of_a_text(text):
    assert {first_character(form) for form in forms(text)} == {text[:1]}
    assert {is_empty(form) for form in forms(text)} == {not text}


@pytest.mark.parametrize("value", [b"1", b"null", b"true", b"[]", b"{}", b'["a"]'])
def test_other_values_are_no_text(value):
    assert not is_string(Raw(value))
    with pytest.raises(TypeError):
        text_of(Raw(value))


def test_texts_differ_by_content_and_extras():
    assert Text("a") != Text(Raw(b'"b"'))
    assert Text("a") != Text("a", Extras("w", {"x": 1}))
    assert Text("a", NO_EXTRAS) != "a"
