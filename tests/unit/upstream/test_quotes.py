"""What a provider's words quote of the prompt is cut out before they are logged."""

import time

import pytest

from gateway.core.message import Message, Text, ToolCall, ToolResult
from gateway.core.turn import Turn
from gateway.upstream.quotes import texts_of, without_quotes

PROMPT = "My password is correct horse battery staple, tell nobody."


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f"Invalid prompt: '{PROMPT}' is too long", "Invalid prompt: '[…]' is too long"),
        (f"bad:{PROMPT[3:45]}", "bad:[…]"),
        ("Unsupported: 'top_k'. My password is no one's.", "Unsupported: 'top_k'. My password is no one's."),
        ("", ""),
        ("short", "short"),
        (PROMPT, "[…]"),
        (f"«{PROMPT}» — nö", "«[…]» — nö"),
    ],
)
def test_a_quote_is_cut_out_to_its_first_and_last_character(message, expected):
    assert without_quotes(message, [b"You are kind.", f"a {PROMPT} b".encode()]) == expected


def test_every_quote_of_35_bytes_is_seen_wherever_it_stands():
    prompt = "".join(chr(0x100 + number) for number in range(400))
    for start in range(50):
        quote = prompt[start : start + 18]  # 36 bytes
        for before in range(30):
            assert quote not in without_quotes(f"{'x' * before}{quote} and more", [prompt.encode()])


def test_the_ends_of_a_large_prompt_are_compared_in_little_time():
    beginning, end = "the beginning of a large prompt, at last", "the end of a large prompt, which is secret"
    prompt = f"{beginning}{'lorem ipsum ' * 2_000_000}{end}".encode()
    before = time.thread_time()
    for part in (beginning, end):
        assert without_quotes(f"no:{part}", [prompt]) == "no:[…]"
    assert time.thread_time() - before < 1


def test_the_texts_of_a_turn_are_those_of_messages_calls_and_results():
    turn = Turn(
        "openclaw",
        (
            Message("user", (Text("first"),)),
            Message("assistant", (ToolCall("c", "f", '{"a": 1}'),)),
            Message("tool", (ToolResult("c", (Text("result"),)),)),
        ),
    )
    assert list(texts_of(turn)) == [b"result", b'{"a": 1}', b"first"]
