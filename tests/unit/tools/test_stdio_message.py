"""What programs print in place of a message: read if possible, and else the failed answer of the right call."""

import sys
import time

import pytest
from mcp.shared.message import SessionMessage

from gateway.config.mcp import McpServerConfig
from gateway.tools.mcp import mcp_server
from gateway.tools.result import ResultLimits
from gateway.tools.stdio_message import Unreadable, read_line

RESULT = b'"result":{"content":[{"type":"text","text":"%s"}]}'


def answer(text=b"ok", head=b'"jsonrpc":"2.0","id":7,'):
    return b"{" + head + RESULT % text + b"}"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (answer(), "ok"),
        (answer(b"cut here \\ud83d"), "cut here \ufffd"),
        (answer(b"\\udc00\\ud83d\\ude00"), "\ufffd\U0001f600"),
        (answer(b"caf\xe9"), "caf\ufffd"),
        (b"\xef\xbb\xbf" + answer(), "ok"),
        (b"LOG: " + answer(), "ok"),
        (b"[" + answer() + b"]", "ok"),
        (answer() + b"\r", "ok"),
        (answer().replace(b'"id":7', b'"id":7.0'), "ok"),
    ],
)
def test_what_can_be_read_is_read(line, text):
    (item,) = read_line(line)
    assert isinstance(item, SessionMessage)
    assert item.message.id == 7
    assert item.message.result["content"][0]["text"] == text


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":7,"error":{"code":"x","message":"no"}}',
        b'{"jsonrpc":"2.0","id":7,"error":"no"}',
        b'{"jsonrpc":"2.0","id":7,"error":{"message":"no"}}',
        b'{"jsonrpc":"2.0","id":7,"result":"text"}',
        b'{"jsonrpc":"2.0","id":7,"result":[]}',
        b'{"jsonrpc":"2.0","id":7,"result":null}',
        b'{"id":7,"result":{}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b'{"jsonrpc":"2.0","id":7,"result":{"a":' + b"9" * 5_000 + b"}}",
        b'{"jsonrpc":"2.0","id":7,"result":{"content"',
        b'  "id": 7,',
        b'{"jsonrpc":"2.0","id":7.0,"result":[]}',
        b'{"jsonrpc":"2.0","result":{"content":[],"id":3,},"id":7,}',
        b'{"jsonrpc":"2.0","result":{"content":[{"text":"} \\"id\\":9 {"}],},"id":7}',
        b"{'jsonrpc': '2.0', 'id': 7, 'result': {'content': None}}",
        '{"jsonrpc":"2.0","id":7,"result":{}}'.encode("utf-16"),
        answer() + b" done",
    ],
)
def test_an_answer_that_can_not_be_read_names_its_call(line):
    (item,) = read_line(line)
    assert isinstance(item, Unreadable)
    assert item.request == 7


def test_every_call_that_a_line_of_several_objects_answers_is_named():
    line = answer() + answer(head=b'"jsonrpc":"2.0","id":"eight",')
    assert [item.request for item in read_line(line)] == [7, "eight"]


@pytest.mark.parametrize(
    "line", [b'{"result":' + b'"\\"' * 400_000, b'{"result":' + b"'\\" * 400_000, b'{"error":' + b'"id"' * 400_000]
)
def test_a_long_line_that_can_not_be_read_costs_linear_time(line):
    began = time.process_time()
    assert [item.request for item in read_line(line)] == [None]
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"{", b'{"level":"info","id":7}', b'{"id":7}', b"[1, 2]", b"[]", b'  "ids": 7', b"\xff\xfe",
     b'{"jsonrpc":"2.0","id":7,"method":5}', b'id: 7 "result"', b'{"jsonrpc":"2.0","id":true,"result":5}'],
)  # fmt: skip
def test_other_output_names_no_call(line):
    assert [item.request for item in read_line(line) if isinstance(item, Unreadable)] == [None] * max(
        1, len(read_line(line))
    )


SERVER = """
import json, sys
RESULTS = {
    "initialize": {"capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}},
    "tools/list": {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]},
}
for line in sys.stdin:
    message = json.loads(line)
    method, name = message.get("method"), message.get("id")
    if name is None:
        continue
    answer = {"jsonrpc": "2.0", "id": name}
    if method in RESULTS:
        answer["result"] = RESULTS[method]
    else:
        answer["error"] = {"code": -32601, "message": "no"}
    if method == "initialize":
        answer["result"]["protocolVersion"] = message["params"]["protocolVersion"]
    text = ANSWER.replace("ID", json.dumps(name)) if method == "tools/call" else json.dumps(answer)
    sys.stdout.buffer.write(text.encode("latin-1") + bytes([10]))
    sys.stdout.flush()
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            r'{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"cut here \ud83d"}]}}',
            "cut here \ufffd",
        ),
        ('{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"caf\u00e9"}]}}', "caf\ufffd"),
        ('{"jsonrpc":"2.0","id":ID,"result":"text"}', "could not be read"),
        ('{"jsonrpc":"2.0","id":ID,"error":"no"}', "could not be read"),
        ('{\n  "jsonrpc": "2.0",\n  "id": ID,\n  "result": {}\n}', "could not be read"),
    ],
)
async def test_a_call_whose_answer_can_not_be_read_ends_at_once(line, expected, tmp_path):
    program = tmp_path / "server.py"
    program.write_text(f"ANSWER = {line!r}\n{SERVER}", encoding="utf-8")
    config = McpServerConfig(command=sys.executable, args=(str(program),))
    server = mcp_server("x", config, ResultLimits())
    server.start()
    try:
        await server.first_attempt()
        output = await server.call("t", {}, 30)
        assert expected in output.content[0].text
        assert server.available
    finally:
        await server.close()
