import pytest
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter

from gateway.wire.openai_responses.input_items import input_items
from gateway.wire.openai_responses.item_id import ItemPosition, input_id, output_id, position_of

ITEM = TypeAdapter(ResponseItem)
RESPONSE = "resp_0b0c0d0e-0000-4000-8000-000000000000"
PNG = "data:image/png;base64,AA=="

TAKEN = [
    {"role": "user", "content": "hi"},
    {"type": None, "role": "user", "content": "hi"},
    {"type": "message", "role": "system", "content": [{"type": "text", "text": "x"}]},
    {"role": "assistant", "content": "done"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}]},
    {"role": "user", "content": [{"type": "input_image", "image_url": PNG}]},
    {"role": "user", "content": [{"type": "input_image", "source": {"type": "url", "url": "https://x.test/a"}}]},
    {"role": "user", "content": [{"type": "input_image", "source": {"type": "base64", "data": "AA=="}}]},
    {"role": "user", "content": [{"type": "input_file", "source": {"type": "url", "url": "https://x.test/a"}}]},
    {"role": "user", "content": [{"type": "input_file", "filename": "a", "file_data": "data:text/plain;base64,eA=="}]},
    {
        "role": "user",
        "content": [{"type": "input_file", "source": {"type": "base64", "media_type": "text/csv", "data": "eA=="}}],
    },
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "x"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
    {"type": "reasoning", "encrypted_content": "secret"},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}]},
    {"type": "mcp_call", "id": "m", "name": "n", "server_label": "s", "arguments": "{}", "output": "x"},
]


@pytest.mark.parametrize("raw", TAKEN)
def test_items_are_stored_in_the_official_form(raw):
    (item,) = input_items([raw], RESPONSE)
    ITEM.validate_python(item)
    assert item["id"] == raw.get("id", item["id"])
    assert set(raw) <= set(item)


def test_a_string_is_stored_as_a_message():
    assert input_items("hi", RESPONSE) == [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "hi"}],
            "id": "msg_0b0c0d0e-0000-4000-8000-000000000000_i0",
            "status": "completed",
        }
    ]


def test_encrypted_reasoning_is_stored_unchanged():
    (item,) = input_items([{"type": "reasoning", "encrypted_content": "secret"}], RESPONSE)
    assert item["encrypted_content"] == "secret"


def test_an_item_id_encodes_its_position():
    assert position_of(output_id("msg", RESPONSE, 2)) == ItemPosition(RESPONSE, "output", 2)
    assert position_of(input_id("fco", RESPONSE, 10)) == ItemPosition(RESPONSE, "input", 10)


@pytest.mark.parametrize("name", ["", "x", "msg_1", "msg_68af_0", RESPONSE, f"{output_id('msg', RESPONSE, 2)} "])
def test_other_ids_have_no_position(name):
    assert position_of(name) is None
