"""The attackers of `siege.py`, a process of their own. Prints a JSON object of what they did and got.

Some have the right token, as a caller with a fault or a stolen token has.
"""

import argparse
import asyncio
import base64
import gzip
import json
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

ADDRESSES = 10_000
GATEWAY_PORT = 18789
CALLERS = 20  # addresses 192.0.2.1 and up, which have the right token
GRACE = 20.0  # seconds for what is under way at the end
MB = 1_000_000
READ_LIMIT = 4 * MB  # bytes of an answer that are read and searched for secrets


class Attackers:
    """Each method is one attack, once; `run` repeats it at its rate. `got` counts the results of each attack."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.got: dict[str, Counter[str]] = {}
        self.leaks: list[str] = []
        self.secrets = [secret.encode() for secret in options.secrets.split(",")]
        self.large = self._chat("refuses", "y" * 19 * MB)
        self.bombs = self._bombs()
        self.interrupted = [
            ("/v1/chat/completions", self._chat("quick", "hi")),
            ("/v1/chat/completions", self._chat("slow", "hi", stream=True)),
            ("/v1/chat/completions", self._chat("quick", "hi", user="leaver")),
            ("/v1/responses", self._respond("quick", stream=True)),
            ("/v1/responses", self._respond("slow", stream=True, background=True)),
            ("/v1/embeddings", b'{"model":"openclaw","input":"hi"}'),
        ]

    def _chat(self, agent: str, content: object, **fields: object) -> bytes:
        message = {"role": "user", "content": content}
        return json.dumps({"model": f"openclaw/{agent}", "messages": [message], **fields}).encode()

    def _respond(self, agent: str, **fields: object) -> bytes:
        return json.dumps({"model": f"openclaw/{agent}", "input": "hi", **fields}).encode()

    def _bombs(self) -> list[tuple[str, bytes, dict[str, str]]]:
        """Path, body and headers."""
        chat, respond = "/v1/chat/completions", "/v1/responses"
        keys = b",".join(b'"k%d":"v"' % number for number in range(700_000))
        parts = [{"type": "text", "text": "a"}] * 200_000
        page = base64.b64encode(b"<div>" * 200_000).decode()
        file = {"type": "input_file", "filename": "a.html", "file_data": f"data:text/html;base64,{page}"}
        return [
            (chat, gzip.compress(b" " * 200 * MB), {"Content-Encoding": "gzip"}),
            (chat, b"[" * 2 * MB, {}),
            (chat, self._chat("quick", "hi")[:-1] + b',"metadata":{%s}}' % keys, {}),
            (chat, self._chat("quick", "\ud83d" * 100_000), {}),
            (chat, self._chat("quick", parts), {}),
            (chat, self._chat("quick", "hi")[:-1] + b',"max_tokens":%s}' % (b"9" * 100_000), {}),
            (respond, self._respond("quick", input=[{"role": "user", "content": [file]}]), {}),
            (respond, self._respond("quick", input=[{"role": "user", "content": "a"}] * 100_000), {}),
        ]

    def head(self, path: str, size: int, token: str, method: str = "POST", address: str = "", **more: str) -> bytes:
        address = address or f"192.0.2.{self.random.randrange(1, CALLERS + 1)}"
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: siege",
            f"Authorization: Bearer {token}",
            f"X-Test-Client: {address}",
            "Content-Type: application/json",
            f"Content-Length: {size}",
            *(f"{name}: {value}" for name, value in more.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def target(self, share: float) -> tuple[str, int]:
        """nginx, or with this probability a gateway itself."""
        if self.options.gateways and self.random.random() < share:
            return self.random.choice(self.options.gateways), GATEWAY_PORT
        return "127.0.0.1", self.options.port

    async def connect(
        self, target: tuple[str, int] | None = None, receive: int = 0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, target or self.target(0))
        return await asyncio.open_connection(sock=sock, limit=2**16)

    async def read(self, reader: asyncio.StreamReader, seconds: float = 120) -> str:
        """The status of an answer, of which at most READ_LIMIT bytes are read; `none` if the connection closes."""
        answer = bytearray()
        async with asyncio.timeout(seconds):
            while len(answer) < READ_LIMIT and (piece := await reader.read(2**16)):
                answer += piece
        self.leaks += [secret.decode() for secret in self.secrets if secret in answer]
        return answer[9:12].decode() or "none"

    async def post(self, path: str, body: bytes, token: str = "", **more: str) -> str:
        reader, writer = await self.connect()
        try:
            writer.write(self.head(path, len(body), token or self.options.token, Connection="close", **more))
            writer.write(body)
            return await self.read(reader)
        finally:
            writer.transport.abort()

    async def guess(self) -> str:
        number = self.random.randrange(ADDRESSES)
        reader, writer = await self.connect()
        try:
            address = f"10.{number % 7}.{number // 250}.{number % 250}"
            token = f"wrong-{self.random.random()}"
            writer.write(self.head("/v1/models", 0, token, "GET", address, Connection="close"))
            return await self.read(reader)
        finally:
            writer.transport.abort()

    async def slow_head(self) -> str:
        reader, writer = await self.connect(self.target(0.5))
        try:
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: siege\r\n")
            for number in range(40):
                writer.write(b"X-Filler-%d: a\r\n" % number)
                await writer.drain()
                with suppress(TimeoutError):
                    async with asyncio.timeout(2):
                        await reader.read(1)
                        return "cut within 80 s"
            return "not cut"
        finally:
            writer.transport.abort()

    async def slow_reader(self) -> str:
        body = self._chat("huge", "hi", stream=True)
        reader, writer = await self.connect(receive=4096)
        try:
            writer.write(self.head("/v1/chat/completions", len(body), self.options.token) + body)
            for _ in range(30):
                await asyncio.sleep(1)
                if not await reader.read(512):
                    return "cut"
            return "left"
        finally:
            writer.transport.abort()

    async def bomb(self) -> str:
        path, body, headers = self.random.choice(self.bombs)
        return await self.post(path, body, **headers)

    async def refused_prompt(self) -> str:
        return await self.post("/v1/chat/completions", self.large)

    async def huge_background_answer(self) -> str:
        return await self.post("/v1/responses", self._respond("huge", background=True))

    async def half_close(self) -> str:
        body = self._chat("quick", "hi")
        reader, writer = await self.connect(self.target(0.5))
        more = {"Connection": "close", "X-Forwarded-For": "192.0.2.1"}
        try:
            writer.write(self.head("/v1/chat/completions", len(body), self.options.token, **more) + body)
            writer.write_eof()
            return await self.read(reader)
        finally:
            writer.transport.abort()

    async def disconnect(self) -> str:
        """Leave at a random moment: in the head, in the body, before or within the answer."""
        path, body = self.random.choice(self.interrupted)
        _, writer = await self.connect(self.target(0.5))
        address = f"192.0.2.{self.random.randrange(1, CALLERS + 1)}"
        try:
            message = self.head(path, len(body), self.options.token, **{"X-Forwarded-For": address}) + body
            writer.write(message if self.random.random() < 0.8 else message[: self.random.randrange(len(message))])
            await asyncio.sleep(self.random.random() ** 3 * 2)
            return "left"
        finally:
            writer.transport.abort()

    async def run(self, attack: Callable[[], Awaitable[str]], per_second: float, at_once: int) -> None:
        """Repeat the attack at this rate, at most so many at the same time."""
        got = self.got[attack.__name__] = Counter()
        slots = asyncio.Semaphore(at_once)
        loop = asyncio.get_running_loop()

        async def once() -> None:
            try:
                async with asyncio.timeout_at(began + self.options.seconds + GRACE):
                    got[await attack()] += 1
            except (OSError, TimeoutError, ValueError) as error:
                got[type(error).__name__] += 1
            finally:
                slots.release()

        began, number = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while (now := loop.time()) < began + self.options.seconds:
                await slots.acquire()
                group.create_task(once())
                number += 1
                await asyncio.sleep(max(0.0, began + number / per_second - now))

    async def all(self) -> None:
        rate = self.options.rate
        async with asyncio.TaskGroup() as group:
            for attack, per_second, at_once in (
                (self.guess, 60 * rate, 50),
                (self.slow_head, 5 * rate, 200),
                (self.slow_reader, 0.5 * rate, 20),
                (self.bomb, 0.4 * rate, 4),
                (self.refused_prompt, 0.4 * rate, 4),
                (self.huge_background_answer, 0.1 * rate, 4),
                (self.half_close, 3 * rate, 10),
                (self.disconnect, 10 * rate, 50),
            ):
                if attack.__name__ not in self.options.without:
                    group.create_task(self.run(attack, per_second, at_once))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="nginx")
    parser.add_argument("--gateways", type=lambda text: text.split(","), default=[], help="addresses")
    parser.add_argument("--token", required=True)
    parser.add_argument("--secrets", required=True, help="what no answer may contain, separated by commas")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", type=lambda text: text.split(","), default=[], help="attacks, by name")
    attackers = Attackers(parser.parse_args())
    asyncio.run(attackers.all())
    print(json.dumps({"got": attackers.got, "leaks": attackers.leaks}))


if __name__ == "__main__":
    main()
