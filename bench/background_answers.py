"""What huge background answers leave in the store: `python bench/background_answers.py`. See README.md here.

One caller starts ten background runs whose answers are 64 MB each, while others hold conversations and make small
background runs, over SQLite and over a Redis of 256 MB. Prints the highest number of bytes in the store, the bytes at
the end, the gateway's highest resident memory, and what the others got.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
from gateway_process import MEGABYTE, Gateway, running
from refused import TOKEN, config

from tests.servers import redis_server

KEPT = 32.0  # megabytes
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event in a chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


PIECE = event({"content": "answer! " * 128}) * 16  # 16 KiB of text
END = event({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def provide(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Stream 64 MB if the prompt says so, else a few words."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if b"huge" in body:
                writer.write(HEAD)
                for _ in range(64 * 64):
                    writer.write(PIECE)
                    await writer.drain()
                writer.write(END)
            elif b'"stream":true' in body:
                writer.write(HEAD + event({"content": "ok"}) + END)
            else:
                choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
                answer = json.dumps({"choices": [choice]}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
                    + answer
                )
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        writer.close()


async def run_in_background(session: aiohttp.ClientSession, text: str) -> str:
    """Start a run and wait for its end. Returns its status."""
    request = {"model": "openclaw", "input": text, "background": True}
    async with session.post("/v1/responses", json=request) as answer:
        if answer.status != 200:
            return f"{answer.status} {(await answer.text())[:300]}"
        name = (await answer.json())["id"]
    while True:
        async with session.get(f"/v1/responses/{name}") as answer:
            if answer.status != 200:
                return str(answer.status)
            status: str = (await answer.json())["status"]
        if status not in ("queued", "in_progress"):
            return status
        await asyncio.sleep(0.1)


async def converse(session: aiohttp.ClientSession, user: str) -> str:
    """One turn of a conversation. Returns the status."""
    request = {"model": "openclaw", "user": user, "messages": [{"role": "user", "content": "hi"}]}
    async with session.post("/v1/chat/completions", json=request) as answer:
        text = await answer.text()
        return str(answer.status) if answer.status == 200 else f"{answer.status} {text[:300]}"


async def measure(gateway: Gateway, stored: Callable[[], Any], before: float) -> tuple[float, float, float, Any, Any]:
    """The highest bytes stored, those at the end, the highest memory, the others' results, and the huge runs' ends."""
    others: Counter[str] = Counter()
    highest = memory = 0.0
    async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.port}", headers=HEADERS) as session:
        huge = asyncio.gather(*(run_in_background(session, "huge") for _ in range(10)))
        turn = 0
        while not huge.done():
            turn += 1
            others[f"conversation {await converse(session, f'user-{turn % 20}')}"] += 1
            if turn % 10 == 0:
                others[f"small run {await run_in_background(session, 'small')}"] += 1
            highest = max(highest, await stored() - before)
            memory = max(memory, gateway.megabytes)
            await asyncio.sleep(0.02)
        return highest, await stored() - before, memory, dict(others), dict(Counter(huge.result()))


@asynccontextmanager
async def store(kind: str, folder: Path, settings: dict[str, Any]) -> AsyncIterator[Callable[[], Any]]:
    """Configure the store. Yields a function that returns the megabytes in it."""
    if kind == "sqlite":

        async def size() -> float:
            file = folder / "state" / "gateway.sqlite"
            if not file.exists():
                return 0.0
            with closing(sqlite3.connect(file)) as connection:
                pages, free, page = (
                    connection.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("page_count", "freelist_count", "page_size")
                )
            return float((pages - free) * page / MEGABYTE)

        yield size
        files = sum(one.stat().st_size for one in (folder / "state").glob("gateway.sqlite*")) / MEGABYTE
        print(f"sqlite: files of {files:.1f} MB, which new data uses again")
        return
    (folder / "redis").mkdir()
    async with redis_server(folder / "redis", maxmemory="256mb", maxmemory_policy="noeviction") as redis:
        settings["gateway"]["redis"] = {"url": redis.url}

        async def used() -> float:
            return int((await redis.ask("INFO", "memory"))["used_memory"]) / MEGABYTE

        yield used


async def main(kinds: list[str]) -> bool:
    """Print a line per store. Returns whether the budget was met."""
    server = await asyncio.start_server(provide, "127.0.0.1", 0, limit=2**24)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    good = True
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            (here / "state").mkdir()
            settings = config(url, here, tools=False)
            async with store(kind, here, settings) as stored, running(settings, here / "state") as gateway:
                highest, last, memory, others, ends = await measure(gateway, stored, await stored())
        failed = [name for name in others if not name.endswith((" 200", " completed"))]
        good = good and not failed and last <= KEPT
        print(f"{kind}: at most {highest:.1f} MB stored, {last:.1f} MB at the end, peak {memory:.0f} MB of memory")
        print(f"  huge runs: {ends}; others: {others}")
        sys.stdout.flush()
    server.close()
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("sqlite", "redis"), action="append", help="this store")
    options = parser.parse_args()
    sys.exit(not asyncio.run(main(options.only or ["sqlite", "redis"])))
