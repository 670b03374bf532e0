"""Whether refused large prompts stay in memory: `python bench/refused.py`. See README.md here.

For each route a new gateway gets large prompts that the provider refuses, one after another, under a limit of its
address space. Prints the answers by status, and the resident memory before and after.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from gateway_process import MEGABYTE, ROOT, Gateway, running

TOKEN = "bench-token-0123456789abcdef"
BUDGET = 40.0  # megabytes of growth
SMALLER = {"embeddings": 4.9, "responses, background": 7.0}  # megabytes: what the route takes and stores
CALL = {"id": "call_1", "type": "function", "function": {"name": "tools__weather", "arguments": '{"city":"Oslo"}'}}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAIL = 65536


def reply(status: str, payload: Any) -> bytes:
    """A complete response."""
    body = json.dumps(payload).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


REFUSED = reply("400 Bad Request", {"error": {"message": "This prompt is too long.", "type": "invalid_request_error"}})
CALLED = reply(
    "200 OK",
    {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
                "finish_reason": "tool_calls",
            }
        ],
    },
)


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuse every prompt; a prompt for an agent with tools is refused in its second round."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            assert length is not None
            left, tail = int(length[1]), b""
            while left:
                data = await reader.read(min(left, 2**20))
                if not data:
                    return
                left -= len(data)
                tail = (tail + data)[-_TAIL:]
            writer.write(CALLED if b"tools__weather" in tail and b'"role":"tool"' not in tail else REFUSED)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    except asyncio.CancelledError:
        return  # the end of the program
    finally:
        writer.close()


def config(provider: str, notes: Path, *, tools: bool) -> dict[str, Any]:
    """One agent, with a tool server or without."""
    server = {"command": sys.executable, "args": [str(ROOT / "tests" / "tool_server.py"), str(notes)]}
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
            "drain": {"noticeMs": 0},
        },
        "memory": {"search": {"provider": "bench", "model": "emb"}},
        "agents": {
            "defaults": {"model": {"primary": "bench/m"}},
            "entries": {"main": {}},
        },
        "models": {"mode": "replace", "providers": {"bench": {"baseUrl": provider, "apiKey": "k"}}},
        "mcp": {"servers": {"tools": server} if tools else {}},
    }


def chat(text: str, **more: Any) -> dict[str, Any]:
    """A chat completion."""
    return {"model": "openclaw/main", "messages": [{"role": "user", "content": text}], **more}


def response(text: str, **more: Any) -> dict[str, Any]:
    """A request of the Responses API."""
    return {"model": "openclaw/main", "input": text, **more}


Build = Callable[[str], dict[str, Any]]
ROUTES: dict[str, tuple[str, Build]] = {
    "chat": ("/v1/chat/completions", chat),
    "chat, streamed": ("/v1/chat/completions", lambda text: chat(text, stream=True)),
    "chat, conversation": ("/v1/chat/completions", lambda text: chat(text, user="bench")),
    "chat, tools": ("/v1/chat/completions", chat),
    "responses": ("/v1/responses", response),
    "responses, streamed": ("/v1/responses", lambda text: response(text, stream=True)),
    "responses, not stored": ("/v1/responses", lambda text: response(text, store=False)),
    "responses, background": ("/v1/responses", lambda text: response(text, background=True)),
    "embeddings": ("/v1/embeddings", lambda text: {"model": "openclaw/main", "input": text}),
}


async def ended(session: aiohttp.ClientSession, name: str) -> int:
    """Wait until a background run has ended; 200 if it is failed, as it must be."""
    while True:
        async with session.get(f"/v1/responses/{name}") as answer:
            if answer.status != 200:
                return answer.status
            status = (await answer.json())["status"]
        if status not in ("queued", "in_progress"):
            assert status == "failed", status
            return 200
        await asyncio.sleep(0.02)


async def ask(gateway: Gateway, path: str, body: bytes, requests: int, row: list[Any]) -> None:
    """Send the requests, and add the figures to the row."""
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}", headers=headers) as session:
        await session.post(path, data=b"{}")
        first = gateway.megabytes
        for _ in range(requests):
            try:
                async with session.post(path, data=body) as answer:
                    status = answer.status
                    if status == 200 and b'"background": true' in body[-100:]:
                        status = await ended(session, (await answer.json())["id"])
                    else:
                        await answer.read()
                statuses[status] += 1
            except aiohttp.ClientError:
                statuses[0] += 1
        row += [dict(statuses), first, gateway.megabytes if statuses[0] == 0 else float("nan")]


async def measure(names: list[str], requests: int, megabytes: float, limit: int) -> bool:
    """Print a line per route. Returns whether every request was answered within the budget."""
    server = await asyncio.start_server(provide, "127.0.0.1", 0, limit=2**20)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    good = True

    for name in names:
        path, build = ROUTES[name]
        text = "prompt! " * int(min(SMALLER.get(name, megabytes), megabytes) * MEGABYTE / 8)
        body = json.dumps(build(text)).encode()
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder)
            row: list[Any] = []
            async with running(config(url, state, tools=name == "chat, tools"), state, address_space=limit) as gateway:
                await ask(gateway, path, body, requests, row)
            statuses, first, last = row
            good = good and 0 not in statuses and last - first <= BUDGET
            print(f"{name:24} {len(body) / MEGABYTE:5.1f} MB x {requests}: {statuses}, {first:.0f} -> {last:.0f} MB")
            sys.stdout.flush()
    server.close()
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="per route")
    parser.add_argument("--megabytes", type=float, default=19.0, help="size of a prompt")
    parser.add_argument("--address-space", type=int, default=1_000_000, help="limit of a gateway (KiB, `ulimit -v`)")
    parser.add_argument("--only", choices=list(ROUTES), action="append", help="this route")
    options = parser.parse_args()
    wanted = options.only or list(ROUTES)
    sys.exit(not asyncio.run(measure(wanted, options.requests, options.megabytes, options.address_space)))
