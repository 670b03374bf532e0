import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import aiohttp
import pytest

from gateway.core.errors import Unavailable
from gateway.upstream.embedded.chat import EmbeddedChat
from gateway.upstream.embedded.child import ChildSettings
from gateway.upstream.embedded.models import MODEL
from gateway.upstream.embedded.process import Child, spawn

PROVIDER_KEY = "sk-key-of-another-provider"
LONG = {"messages": [{"role": "user", "content": "Count from one to one thousand."}], "temperature": 0}


@pytest.fixture
async def chat(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", PROVIDER_KEY)
    async with EmbeddedChat() as running:
        await running.ready(60)
        yield running


@pytest.fixture
async def http(chat):
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {chat.api_key}"}) as session:
        yield session


async def test_answers_a_chat_with_usage(chat, http):
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}

    async with http.post(f"{chat.base_url}/chat/completions", json=body) as response:
        answer = await response.json()

    assert response.status == 200
    assert answer["choices"][0]["message"]["content"]
    assert answer["model"] == MODEL.chat_model
    assert 0 < answer["usage"]["completion_tokens"] <= 8


async def test_streams_to_a_finish_usage_and_done(chat, http):
    body = LONG | {"max_tokens": 5, "stream": True, "stream_options": {"include_usage": True}}

    async with http.post(f"{chat.base_url}/chat/completions", json=body) as response:
        lines = (await response.text()).split("\n\n")

    payloads = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    chunks = [json.loads(payload) for payload in payloads[:-1]]
    assert payloads[-1] == "[DONE]"
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 5


async def test_refuses_a_caller_without_the_key(chat):
    async with aiohttp.ClientSession() as session, session.post(f"{chat.base_url}/chat/completions", json=LONG) as got:
        assert got.status == 401


async def test_prompt_over_the_context_window_is_the_callers_error(chat, http):
    body = {"messages": [{"role": "user", "content": "word " * MODEL.context_window}]}

    async with http.post(f"{chat.base_url}/chat/completions", json=body) as response:
        answer = await response.json()

    assert response.status == 400
    assert answer["error"]["type"] == "exceed_context_size_error"


async def test_answers_in_a_second_slot_while_the_first_streams(chat, http):
    async with http.post(f"{chat.base_url}/chat/completions", json=LONG | {"stream": True}) as endless:
        await endless.content.readline()
        async with http.post(f"{chat.base_url}/chat/completions", json=LONG | {"max_tokens": 2}) as second:
            assert second.status == 200
        assert not endless.content.at_eof()


async def test_more_idle_connections_than_slots_do_not_hold_up_a_new_one(chat):
    port = chat.base_url.split(":")[2].split("/")[0]
    idle = []
    for _ in range(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.append((reader, writer))

    async with asyncio.timeout(3):  # a connection is let go after five idle seconds
        for reader, _ in idle:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    for _, writer in idle:
        writer.close()


async def test_serves_again_at_the_same_address_after_being_killed():
    started: asyncio.Queue[Child] = asyncio.Queue()

    async def recording_spawn(settings: ChildSettings) -> Child:
        child = await spawn(settings)
        started.put_nowait(child)
        return child

    async def no_delay(_seconds: float) -> None:
        return

    async with EmbeddedChat(spawn=recording_spawn, sleep=no_delay) as chat:
        before = chat.base_url, chat.api_key
        await chat.ready(60)
        first = await started.get()
        os.kill(first.pid, signal.SIGKILL)
        second = await started.get()
        await chat.ready(60)

        assert chat.pid == second.pid != first.pid
        assert (chat.base_url, chat.api_key) == before
        headers = {"Authorization": f"Bearer {chat.api_key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{chat.base_url}/chat/completions", json=LONG | {"max_tokens": 2}) as response,
        ):
            assert response.status == 200


async def test_closing_ends_the_child_even_while_it_answers(chat, http):
    pid = chat.pid
    async with http.post(f"{chat.base_url}/chat/completions", json=LONG | {"stream": True}) as response:
        await response.content.readline()
        await chat.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Unavailable, match="shut down"):
        await chat.ready()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_no_key_is_in_the_arguments_or_the_environment_of_the_child(chat):
    for file in ("cmdline", "environ"):
        content = Path("/proc", str(chat.pid), file).read_bytes()
        assert chat.api_key.encode() not in content
        assert PROVIDER_KEY.encode() not in content


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for a process that is not a child")
async def test_child_does_not_outlive_a_killed_parent():
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=DEVNULL, stderr=PIPE)
    child_ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(int(await parent.stderr.readline()))
    finally:
        parent.kill()
        await parent.wait()
    try:
        loop.add_reader(handle, child_ended.set)
        async with asyncio.timeout(10):
            await child_ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


PARENT = """
import asyncio
import sys
from gateway.upstream.embedded.chat import EmbeddedChat

async def main():
    async with EmbeddedChat() as chat:
        await chat.ready(60)
        print(chat.pid, file=sys.stderr, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
