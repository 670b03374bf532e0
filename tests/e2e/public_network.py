"""A network of its own, where this machine is also a public host: `python -m tests.e2e.public_network FOLDER`, which
`unshare` has given a network and mounts of its own.

A gateway fetches nothing from loopback, and no test may ask the internet. In here `site.test` has a public address and
is served by this program, beside a gateway in its own process and the provider behind it. FOLDER holds the gateway's
configuration and the requests to make; what came of each is printed as JSON.
"""

import asyncio
import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.e2e.answers import says
from tests.e2e.process import serving
from tests.e2e.provider import KEY, Provider

PUBLIC = "93.184.216.34"
PORT = 8080
PNG = b"\x89PNG\r\n\x1a\n and more"
HOSTS = f"""127.0.0.1 localhost inside.test
{PUBLIC} site.test mixed.test
10.0.0.7 mixed.test
"""
_SET_ADDRESS, _GET_FLAGS, _SET_FLAGS, _UP = 0x8916, 0x8913, 0x8914, 1  # netdevice(7)


def bring_up(folder: Path, names: str, *further: str) -> None:
    """Give this network's loopback interface its address and `further` ones, and this program a hosts file."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for number, address in enumerate(("127.0.0.1", *further)):
            name = f"lo:{number}".encode() if number else b"lo"
            wanted = struct.pack("16sH2x4s8x", name, socket.AF_INET, socket.inet_aton(address))
            fcntl.ioctl(any_socket, _SET_ADDRESS, wanted)
            _, flags = struct.unpack_from("16sH", fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sH14x", name, 0)))
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", name, flags | _UP))
    hosts = folder / "hosts"
    hosts.write_text(names, encoding="utf-8")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


async def serve_site(asked: list[str]) -> web.AppRunner:
    """Serve public pages on every address of this machine."""

    async def page(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.host} {request.path}")
        match request.path:
            case "/picture":
                return web.Response(body=PNG, content_type="application/octet-stream")
            case "/notes.txt":
                return web.Response(text="Hello from afar", content_type="text/plain")
            case _:
                raise web.HTTPFound(request.query["to"])

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", PORT).start()  # noqa: S104  a network of our own
    return runner


async def answers(folder: Path) -> list[dict[str, Any]]:
    """For each request: status, body, the requests to the site, and the messages for the provider."""
    asked: list[str] = []
    recorded: list[dict[str, Any]] = []
    site = await serve_site(asked)
    async with Provider().serving() as provider:
        model = provider.model(says("Seen."), "sees")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["models"] = {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}}
        async with serving(folder, config) as gateway, aiohttp.ClientSession(gateway.url) as client:
            for path, body in json.loads((folder / "requests.json").read_text(encoding="utf-8")):
                async with client.post(path, json=body, headers=model.chosen) as response:
                    answer = {"status": response.status, "body": await response.json()}
                messages = model.asked.pop().body["messages"] if model.asked else None
                recorded.append({**answer, "asked": asked[:], "messages": messages})
                asked.clear()
    await site.cleanup()
    return recorded


if __name__ == "__main__":
    where = Path(sys.argv[1])
    bring_up(where, HOSTS, PUBLIC)
    sys.stdout.write(json.dumps(asyncio.run(answers(where))))
