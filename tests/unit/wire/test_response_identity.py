import pytest

from gateway.wire.response_identity import read_identity

HEADS = {
    "chat, whole": (b'{"id":"c1","object":"chat.completion","model":"m-2026","choices":[]}', ("c1", "m-2026")),
    "chat, streamed": (b'data: {"id":"c1","model":"m-2026","choices":[]}\n\ndata: {"id"', ("c1", "m-2026")),
    "chat, pretty": (b'{\n  "id": "c1",\n  "model": "m"\n}\n', ("c1", "m")),
    "messages, streamed": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"claude"}}\n\n',
        ("msg_1", "claude"),
    ),
    "responses, streamed": (
        b'event: response.created\r\ndata: {"type":"response.created","response":{"id":"r1","model":"gpt"}}\r\n\r\n',
        ("r1", "gpt"),
    ),
    "google": (b'data: {"candidates":[],"modelVersion":"gemini-3","responseId":"g1"}\r\n\r\n', ("g1", "gemini-3")),
    "ollama": (b'{"model":"llama","message":{"role":"assistant","content":"x"}}\n{"mod', (None, "llama")),
    "incomplete": (b'data: {"id":"c1","mod', (None, None)),
    "binary": (b"\x00\x00\x00\x81\x00\x00\x00\x52{\xff", (None, None)),
    "names of another type": (b'{"id":17,"model":["x"]}', (None, None)),
    "nothing": (b"", (None, None)),
}


@pytest.mark.parametrize(("head", "expected"), HEADS.values(), ids=HEADS)
def test_the_response_names_its_id_and_its_model(head, expected):
    assert read_identity(head) == expected
