"""The corpus of forwarded headers, byte by byte, over real connections from real addresses of this machine.

Every failure locks the address that it is counted for, so the right attribution shows in who is locked afterwards.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.e2e.raw import status
from tests.forwarded import CASES, DECOYS, PEER, TRUSTED, spelled

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITNESS = "127.9.255.1"  # a trusted proxy that checks the state


@asynccontextmanager
async def strict(config, state, *, fallback):
    """A gateway that locks after one failure, this machine's own addresses included."""
    limits = {"maxAttempts": 1, "lockoutMs": 600_000, "exemptLoopback": False, "global": False}
    auth = {"mode": "token", "token": TOKEN, "rateLimit": limits}
    mine = {"auth": auth, "trustedProxies": list(TRUSTED), "allowRealIpFallback": fallback}
    async with serving(state, config | {"gateway": config["gateway"] | mine}) as ready:
        yield ready


async def exchanged(gateway, peer, sent):
    """The status of the response to these bytes from the address `peer`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(peer, 0))
    try:
        async with asyncio.timeout(10):
            writer.write(sent)
            return status(await reader.readuntil(b"\r\n\r\n"))
    finally:
        writer.close()


async def status_for(gateway, peer, token, *lines):
    """The status of a request for the models with these header lines, sent as they are."""
    head = ["GET /v1/models HTTP/1.1", "Host: gateway", f"Authorization: Bearer {token}", *lines, "Connection: close"]
    return await exchanged(gateway, peer, "\r\n".join([*head, "", ""]).encode())


async def locked(gateway, address):
    witness_status = await status_for(gateway, WITNESS, TOKEN, f"X-Forwarded-For: {address}")
    assert witness_status in (200, 429)
    return witness_status == 429


@pytest.mark.parametrize("fallback", [False, True])
async def test_the_right_address_is_counted_for_every_claim_of_a_trusted_proxy(config, tmp_path, fallback):
    async with strict(config, tmp_path, fallback=fallback) as gateway:
        for number, case in enumerate(CASES):
            if case.fallback is not fallback:
                continue
            proxy = f"127.9.{number // 250}.{number % 250 + 1}"
            answer = await status_for(gateway, proxy, "wrong", *(spelled(line, number) for line in case.lines))
            assert answer == (case.status or (403 if case.client is None else 401)), case
            assert (await status_for(gateway, proxy, TOKEN) == 429) is (case.client == PEER), case
            if case.client not in (None, PEER):
                assert await locked(gateway, spelled(case.client, number)), case
        assert not [decoy for decoy in DECOYS if await locked(gateway, decoy)]


async def test_headers_of_an_untrusted_peer_affect_only_that_peer(config, tmp_path):
    async with strict(config, tmp_path, fallback=True) as gateway:
        for number, case in enumerate(CASES):
            untrusted = f"127.7.{number // 250}.{number % 250 + 1}"
            answer = await status_for(gateway, untrusted, "wrong", *(spelled(line, number) for line in case.lines))
            assert answer == (case.status or (401 if case.client == PEER else 403)), case
            assert (await status_for(gateway, untrusted, TOKEN) == 429) is (case.client == PEER), case
            if case.client not in (None, PEER):
                assert not await locked(gateway, spelled(case.client, number)), case
        assert not [decoy for decoy in DECOYS if await locked(gateway, decoy)]


async def test_a_trailer_is_not_a_forwarded_header(config, tmp_path):
    """Trailers come after attribution, so that nothing in them may count."""
    async with strict(config, tmp_path, fallback=True) as gateway:
        head = ["POST /v1/embeddings HTTP/1.1", "Host: gateway", "Authorization: Bearer wrong", "Connection: close"]
        body = "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
        sent = "\r\n".join([*head, "Transfer-Encoding: chunked", "Trailer: X-Forwarded-For", "", body])
        assert await exchanged(gateway, "127.9.1.1", sent.encode()) == 401
        assert await status_for(gateway, "127.9.1.1", TOKEN) == 429
        assert not await locked(gateway, "1.2.3.4")
