import pytest

from gateway.core.printable import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain \u00e9 \U0001f600", "plain \u00e9 \U0001f600"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x7f\x9b31m\x85", "\\x7f\\x9b31m\\x85"),
        ("\u2028\u202ereversed\u2066", "\\u2028\\u202ereversed\\u2066"),
    ],
)
def test_control_characters_become_escapes(text, expected):
    assert printable(text) == expected


def test_line_breaks_and_tabs_may_stay():
    assert printable("a\n\tb\r\x1b[0m", lines=True) == "a\n\tb\\r\\x1b[0m"
