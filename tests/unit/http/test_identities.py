"""Verified users with unusual names, and all data that the gateway stores for them."""

import asyncio
import json

import pytest

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@pytest.fixture
def proxied(config):
    config["gateway"]["auth"] = {
        "mode": "trusted-proxy",
        "trustedProxy": {"userHeader": "x-user", "allowLoopback": True},
    }
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]


async def post(client, path, name, body):
    """The status and body of the answer to a request with these bytes as its user."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    payload = json.dumps(body).encode()
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.9\r\n".encode()
        + f"Content-Length: {len(payload)}\r\nx-user: ".encode()
        + name
        + b"\r\n\r\n"
        + payload
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer


@pytest.mark.usefixtures("proxied")
@pytest.mark.parametrize("name", [b"a:b", b"%41", "jürgen".encode()])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_user_name_in_any_alphabet_has_its_own_conversations(client, provider, path, name):
    provider.says("a")
    payload = {"input": "q"} if path == RESPONSES else {"messages": [{"role": "user", "content": "q"}]}
    for count in (1, 3):
        status, answer = await post(client, path, name, payload | {"model": "openclaw", "user": "u"})
        assert status == 200, answer
        assert len(provider.asked[-1]["messages"]) == count


@pytest.mark.usefixtures("proxied")
async def test_a_user_name_that_is_not_valid_text_is_refused(client):
    status, answer = await post(client, CHAT, b"j\xfcrgen", {"messages": [{"role": "user", "content": "q"}]})
    assert status == 401, answer
