"""nginx as it is deployed, while the address of a stopped gateway is silent, as a removed container's is: no answer, no
reset. On loopback a full accept queue is as silent.
"""

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from tests.e2e.answers import does, hangs, says
from tests.e2e.provider import KEY
from tests.e2e.stack import PORT, Stack, stack
from tests.process import MAX_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
BODY = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
CALLERS = 8
MODEL = "/v1/models/openclaw%2Fmain"


@contextmanager
def silent(address: str) -> Iterator[None]:
    """Nobody answers at a gateway's port of this address, and nothing refuses (Linux)."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, PORT))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex((address, PORT))
        try:
            yield
        finally:
            for one in waiting:
                one.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(provider, tmp_path_factory):
    more = {
        "gateway": {"drain": {"noticeMs": 0}, "retry": {"maxRetries": 0}},
        "agents": {"defaults": {"model": {"primary": "fake/unscripted"}}, "entries": {"main": {}}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}},
    }
    async with stack(tmp_path_factory.mktemp("silent"), more, gateways=2) as ready:
        yield ready


class Callers:
    """Callers that post and get until `stop`; `statuses` counts what they got."""

    def __init__(self, deployed: Stack, headers: dict[str, str]) -> None:
        self.statuses: Counter[int] = Counter()
        self._deployed = deployed
        self._headers = headers
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(self._call(f"203.0.113.{number}"))

    async def _call(self, address: str) -> None:
        async with self._deployed.client(address) as client:
            while not self._stopped.is_set():
                async with client.post(CHAT, json=BODY, headers=self._headers) as response:
                    await response.read()
                    self.statuses[response.status] += 1
                async with client.get(MODEL) as response:
                    self.statuses[response.status] += 1


async def test_no_request_fails_while_silent_gateways_leave_and_join_the_list(deployed, provider):
    model = provider.model(says("Hello"))
    callers = Callers(deployed, model.chosen)
    gone = [deployed.address(number) for number in (101, 102)]
    alive = list(deployed.names.addresses)
    calling = asyncio.create_task(callers.run())
    try:
        with silent(gone[0]), silent(gone[1]):
            for addresses in (alive + gone[:1], alive, alive + gone, alive + gone[1:], alive):
                deployed.names.addresses = addresses
                await asyncio.sleep(2.5)  # nginx looks the name up every two seconds
    finally:
        deployed.names.addresses = alive
        callers.stop()
        await calling
    assert set(callers.statuses) == {200}, callers.statuses
    assert callers.statuses[200] > 100
    assert len(model.asked) == callers.statuses[200] / 2  # no post was asked twice
    logged = [line for line in deployed.nginx.output.splitlines() if any(f"{address}:" in line for address in gone)]
    assert logged, "no request met a silent gateway"


async def test_a_post_that_a_gateway_received_is_not_sent_to_another_when_its_gateway_dies(deployed, provider):
    model = provider.model(does(hangs))
    async with asyncio.TaskGroup() as group, deployed.client("203.0.113.1") as client:
        # One at each gateway, as nginx prefers the one with fewer connections.
        asked = [group.create_task(client.post(CHAT, json=BODY, headers=model.chosen).__aenter__()) for _ in "12"]
        async with asyncio.timeout(MAX_WAIT):
            while len(model.asked) < 2:
                await asyncio.sleep(0.02)
        deployed.gateways[deployed.address(1)].process.signal(signal.SIGKILL)
        (first,), (other,) = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=MAX_WAIT)
        response = await first
        assert response.status == 503
        assert (await response.json())["error"]["type"] == "unavailable"
        other.cancel()
    assert len(model.asked) == 2
    await deployed.stop(1)
    await deployed.start(1)
