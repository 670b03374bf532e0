import asyncio

from gateway.upstream.transport.pool import Pool

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def test_one_after_the_other_shares_a_connection_and_at_once_does_not(ask, wire, whole):
    wire.answers = [HELLO]
    for _ in range(3):
        assert await whole(await ask()) == b"hello"
    assert wire.connections == 1
    responses = await asyncio.gather(*(ask() for _ in range(5)))
    assert [await whole(response) for response in responses] == [b"hello"] * 5
    assert wire.connections == 5


async def test_a_connection_that_the_server_ends_while_it_waits_is_left_out(client, ask, wire, whole):
    async def bye(writer):
        writer.write(HELLO)
        await seen.wait()
        writer.close()

    seen = asyncio.Event()
    wire.answers = [bye, HELLO]
    assert await whole(await ask()) == b"hello"
    seen.set()
    ((idle,),) = client._pool._idle.values()
    await wire.until(lambda: not idle.usable)
    assert await whole(await ask()) == b"hello"
    assert len(wire.asked) == 2


async def test_a_connection_that_is_idle_for_too_long_is_closed(client, ask, wire, whole, monkeypatch):
    wire.answers = [HELLO]
    client._pool = Pool(idle_timeout=0.05)
    assert await whole(await ask()) == b"hello"
    await wire.until(lambda: wire.open == 0)
    assert await whole(await ask()) == b"hello"
    assert wire.connections == 2


async def test_a_connection_that_is_released_after_close_is_aborted(client, ask, wire, whole):
    wire.answers = [HELLO]
    response = await ask()
    await client.close()
    assert await whole(response) == b"hello"
    await wire.until(lambda: wire.open == 0)


async def test_configurations_share_connections_until_none_has_the_address_any_more(client, ask, wire, whole):
    wire.answers = [HELLO]
    changed = client.with_connect(1.0)
    assert changed._pool is client._pool
    assert client.with_connect(changed._connect)._pool is client._pool
    assert await whole(await ask()) == b"hello"
    (origin,) = client._pool._idle
    with client.serving([origin]):
        with changed.serving([origin]):
            pass
        assert await whole(await ask()) == b"hello"
        assert wire.connections == 1
    await wire.until(lambda: wire.open == 0)
    assert await whole(await ask()) == b"hello"
    assert wire.connections == 2
