"""Starts Open WebUI, asks it one prompt through its own API, prints the answer, and stops it.

Arguments: the program, its state, a prompt and a model. Further questions of a chat send the conversation again, as the
page in the browser does; it is stored beside the state.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

from tests.process import Process, free_port, running

_MAX_START = 600.0  # seconds; a deadline against a hang


async def _wait_until_healthy(server: Process, session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(_MAX_START):
        while True:
            assert server.running, f"it does not start: {server.errors[-2000:]}"
            try:
                async with session.get("/health") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # it does not listen yet, and says nothing when it does
            await asyncio.sleep(0.2)


async def _ask(session: aiohttp.ClientSession, model: str, messages: list[dict[str, str]]) -> str:
    async with session.post("/api/v1/auths/signin", json={"email": "", "password": ""}) as response:
        headers = {"Authorization": f"Bearer {(await response.json())['token']}"}
    async with session.get("/api/models", headers=headers) as response:
        offered = [model["id"] for model in (await response.json())["data"]]
    assert model in offered, f"{model} is not among the models {offered}"
    body = {"model": model, "stream": True, "messages": messages}
    answer = ""
    async with session.post("/api/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            if line.startswith(b"data: {"):
                event = json.loads(line.removeprefix(b"data: "))
                assert "error" not in event, event
                answer += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    return answer


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


async def main(program: str, state: str, prompt: str, model: str) -> None:
    chat = Path(state) / "chat.json"
    messages = json.loads(chat.read_text(encoding="utf-8")) if chat.exists() else []
    messages.append({"role": "user", "content": prompt})
    port = free_port()
    command = [program, "serve", "--host", "127.0.0.1", "--port", str(port)]
    async with (
        running(command, environment=_environment() | {"DATA_DIR": state}) as server,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        await _wait_until_healthy(server, session)
        answer = await _ask(session, model, messages)
    chat.write_text(json.dumps([*messages, {"role": "assistant", "content": answer}]), encoding="utf-8")
    print(answer)  # noqa: T201  the program's output


asyncio.run(main(*sys.argv[1:]))
