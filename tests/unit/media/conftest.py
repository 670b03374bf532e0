"""A scripted provider, a fetcher with test names, and a server that acts as a public host."""

import socket

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from gateway.core.errors import BadRequest
from gateway.media.fetch import Fetcher, FetchPolicy

PUBLIC = "93.184.216.34"


class Names(AbstractResolver):
    """Resolves test names to their addresses. A list of lists gives one list per lookup."""

    def __init__(self, **known):
        self.known = {
            "localhost": ["127.0.0.1"],
            "sub.localhost": ["127.0.0.1"],
            "inside.test": ["10.0.0.7"],
            "mixed.test": [PUBLIC, "10.0.0.7"],
            "nobody.test": [],
            "site.test": ["liar"],
            "other.test": ["liar"],
            **known,
        }
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        addresses = self.known.get(host.rstrip(".").lower())
        if addresses is None:
            raise OSError("no such name")
        if addresses and isinstance(addresses[0], list):
            addresses = addresses.pop(0)
        return [result(address, host, port, family) for address in addresses]

    async def close(self):
        pass


def result(address, host, port, family):
    record = {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
    return Liar(record) if address == "liar" else record


class Liar(dict):
    """A name's address that is public when it is checked, and this machine's when it is connected to.

    There is no public address that a test could reach; this one stands for one.
    """

    def __getitem__(self, key):
        if key != "host":
            return super().__getitem__(key)
        return PUBLIC if self.setdefault("looks", iter((True,))) and next(self["looks"], False) else "127.0.0.1"


@pytest.fixture
def names():
    return Names


@pytest.fixture
async def fetcher():
    made = []

    def build(names=None, own=(), **policy):
        made.append(Fetcher(FetchPolicy(**{"timeout": 5.0, **policy}), names or Names(), lambda host: host in own))
        return made[-1]

    yield build
    for each in made:
        await each.close()


@pytest.fixture
async def site(aiohttp_server):
    """A server that acts as the public host `site.test`. `site.paths` has the requested paths."""

    async def page(request):
        seen.append(request)
        return await answers[request.path](request)

    seen, answers = [], {}
    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    server = await aiohttp_server(app)

    class Site:
        requests = seen

        def url(self, path="/a", host="site.test"):
            return f"http://{host}:{server.port}{path}"

        def says(self, path="/a", body=b"picture", status=200, **headers):
            async def answer(request):
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return web.Response(body=body, status=status, headers=named)

            answers[path] = answer

        def does(self, answer, path="/a"):
            answers[path] = answer

    return Site()


@pytest.fixture
def refused():
    return refusal


async def refusal(fetcher, url, max_bytes=100):
    """The internal reason of a refusal. The client gets the same message for every reason."""
    with pytest.raises(BadRequest) as caught:
        await fetcher.fetch(url, max_bytes)
    assert caught.value.code == "invalid_image_url"
    assert caught.value.message == "The URL in the request could not be fetched."
    why = caught.value.__context__
    return str(getattr(why, "os_error", why))
