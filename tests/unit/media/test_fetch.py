import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib

import pytest
from aiohttp import web
from yarl import URL

from gateway.core.errors import Overloaded
from gateway.media.fetch import Fetched, Fetcher, FetchPolicy, Requester, ThreadedResolver
from tests.unit.media.conftest import PUBLIC


async def test_what_a_public_host_sends_is_fetched(fetcher, site, names):
    site.says(body=b"picture")
    known = names()
    assert await fetcher(known).fetch(site.url(), 100) == Fetched(b"picture", "application/octet-stream")
    assert known.asked == ["site.test"]


async def test_a_fetch_brings_no_cookies_and_no_credentials(fetcher, site):
    site.says(body=b"", Set_Cookie="a=b")
    fetch = fetcher()
    for _ in range(2):
        await fetch.fetch(site.url(), 100)
    assert not {"Cookie", "Authorization", "Referer"} & set(site.requests[-1].headers)


async def test_a_name_is_resolved_anew_for_every_request_and_believed_only_while_it_is_public(
    fetcher, site, refused, names
):
    """DNS rebinding: the name resolves to an internal address after its first check."""
    site.says(body=b"picture")
    known = names(**{"site.test": [["liar"], ["127.0.0.1"], ["liar", "10.0.0.1"]]})
    fetch = fetcher(known)
    assert (await fetch.fetch(site.url(), 100)).body == b"picture"
    await refused(fetch, site.url())
    await refused(fetch, site.url())
    assert len(site.requests) == 1


async def test_a_redirect_to_the_same_name_is_checked_again(fetcher, site, refused, names):
    site.says("/a", status=302, Location="/b")
    site.says("/b", body=b"secret")
    await refused(fetcher(names(**{"site.test": [["liar"], ["127.0.0.1"]]})), site.url())
    assert [request.path for request in site.requests] == ["/a"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_between_public_hosts_are_followed(fetcher, site, status, names):
    site.says("/a", status=status, Location=site.url("/b", "other.test"))
    site.says("/b", body=b"picture")
    known = names()
    assert (await fetcher(known).fetch(site.url(), 100)).body == b"picture"
    assert known.asked == ["site.test", "other.test"]


@pytest.mark.parametrize(
    "location",
    [
        *("http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest", "http://2130706433/", "//localhost/"),
        *("http://inside.test/", "file:///etc/passwd", "ftp://site.test/", "http://user:password@site.test/"),
        "http://[::1",
    ],
)
async def test_a_redirect_leads_nowhere_that_the_url_itself_could_not(fetcher, site, location, refused):
    site.says(status=302, Location=location)
    await refused(fetcher(), site.url())
    assert len(site.requests) == 1


@pytest.mark.parametrize(("allowed", "asked"), [(0, 1), (3, 4)])
async def test_redirects_are_counted(fetcher, site, allowed, asked, refused):
    site.says(status=302, Location="/a")
    await refused(fetcher(max_redirects=allowed), site.url())
    assert len(site.requests) == asked


@pytest.mark.parametrize(("size", "fetched"), [(99, True), (100, True), (101, False), (100_000, False)])
async def test_reading_stops_at_the_limit(fetcher, site, size, fetched, refused):
    site.says(body=b"x" * size)
    fetch = fetcher()
    if fetched:
        assert (await fetch.fetch(site.url(), 100)).body == b"x" * size
    else:
        await refused(fetch, site.url())


async def test_a_body_without_end_is_cut_off(fetcher, site, refused):
    gone = asyncio.Event()

    async def flood(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            gone.set()

    site.does(flood)
    await refused(fetcher(), site.url())
    async with asyncio.timeout(30):
        await gone.wait()


async def test_a_compressed_body_is_counted_after_decompression(fetcher, site, refused):
    site.says(body=gzip.compress(b"x" * 100), Content_Encoding="gzip")
    assert (await fetcher().fetch(site.url(), 100)).body == b"x" * 100
    site.says(body=gzip.compress(b"x" * 101), Content_Encoding="gzip")
    await refused(fetcher(), site.url())


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_decompression_bomb_is_unpacked_up_to_the_limit_only(fetcher, site, refused, coding):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    bomb = b"".join(squeezer.compress(bytes(2**24)) for _ in range(16)) + squeezer.flush()  # 256 MB in 256 KB
    site.says(body=bomb, Content_Encoding=coding)
    tracemalloc.start()
    try:
        await refused(fetcher(), site.url(), 2**20)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


async def test_a_host_that_does_not_answer_times_out(fetcher, site, refused):
    hung = asyncio.Event()

    async def silence(request):
        hung.set()
        await asyncio.Event().wait()

    site.does(silence)
    await refused(fetcher(timeout=0.1), site.url())
    assert hung.is_set()


@pytest.mark.parametrize("status", [204, 206, 304, 400, 403, 404, 500])
async def test_any_other_status_is_no_answer(fetcher, site, status, refused):
    site.says(status=status, body=b"")
    await refused(fetcher(), site.url())


async def test_a_redirect_without_a_target_is_no_answer(fetcher, site, refused):
    site.says(status=302)
    await refused(fetcher(), site.url())


async def test_a_slow_name_server_does_not_delay_other_lookups():
    answer, asking = threading.Event(), threading.Semaphore(0)

    def silent(*_arguments, **_more):
        asking.release()
        answer.wait(30)
        return []

    resolver = ThreadedResolver(silent)
    waiting = [asyncio.create_task(resolver.resolve("silent.test")) for _ in range(100)]
    try:
        async with asyncio.timeout(10):
            await asyncio.to_thread(asking.acquire)
            assert await ThreadedResolver().resolve("localhost", 80)
            assert await asyncio.to_thread(lambda: "free") == "free"
    finally:
        answer.set()
        await asyncio.gather(*waiting)
        await resolver.close()


async def test_names_are_asked_of_the_system():
    resolver = ThreadedResolver()
    results = await resolver.resolve("localhost", 80, socket.AF_INET)
    assert {(each["host"], each["port"], each["hostname"]) for each in results} == {("127.0.0.1", 80, "localhost")}
    await resolver.close()


async def test_a_host_outside_the_allowlist_is_not_resolved(fetcher, site, refused, names):
    site.says(status=302, Location=site.url("/b", "other.test"))
    known = names()
    fetch = fetcher(known, allowlist=("site.test",))
    await refused(fetch, site.url(host="other.test"))
    await refused(fetch, site.url())
    assert known.asked == ["site.test"]


async def test_the_allowlist_does_not_allow_internal_addresses(fetcher, refused):
    fetch = fetcher(allowlist=("localhost", "127.0.0.1", "inside.test"))
    for host in ("localhost", "127.0.0.1", "inside.test"):
        await refused(fetch, f"http://{host}/")


async def test_this_machines_own_public_address_is_refused(fetcher, refused, site):
    fetch = fetcher(own=(PUBLIC,))
    await refused(fetch, site.url())  # its name has that address
    assert site.requests == []
    with pytest.raises(ValueError, match="not a public address"):
        fetch._check(URL(f"http://{PUBLIC}/"))


async def test_a_fetcher_takes_this_machines_own_addresses_from_the_kernel_by_default(monkeypatch):
    fetcher = Fetcher(FetchPolicy())
    monkeypatch.setattr("gateway.core.own_address._source_for", lambda _: "192.0.2.1")
    fetcher._check(URL(f"http://{PUBLIC}/"))
    monkeypatch.setattr("gateway.core.own_address._source_for", lambda host: host)  # as for an address of this machine
    with pytest.raises(ValueError, match="not a public address"):
        fetcher._check(URL(f"http://{PUBLIC}/"))
    await fetcher.close()


async def test_a_fetch_does_not_name_the_versions_of_its_libraries(fetcher, site):
    site.says(body=b"")
    await fetcher().fetch(site.url(), 100)
    assert site.requests[-1].headers["User-Agent"] == "openclaw-gateway"


async def test_hosts_that_answer_slowly_delay_only_the_fetches_of_their_own_caller(fetcher, site):
    """As many as a connector of aiohttp has connections: without a queue, everybody waited for them."""
    released = asyncio.Event()

    async def slow(_request):
        await released.wait()
        return web.Response(body=b"slow")

    site.does(slow, "/slow")
    site.says("/quick", body=b"quick")
    fetch = fetcher()
    slow_ones = [asyncio.create_task(fetch.fetch(site.url("/slow"), 100, Requester("alice"))) for _ in range(110)]
    while len(site.requests) < 16:
        await asyncio.sleep(0.01)
    assert (await fetch.fetch(site.url("/quick"), 100, Requester("bob"))).body == b"quick"
    assert len(site.requests) == 17
    released.set()
    assert {fetched.body for fetched in await asyncio.gather(*slow_ones)} == {b"slow"}


async def test_a_caller_with_too_many_waiting_fetches_is_refused(fetcher, site):
    async def silent(_request):
        await asyncio.Event().wait()

    site.does(silent)
    fetch = fetcher()
    waiting = [asyncio.create_task(fetch.fetch(site.url(), 100, Requester("alice"))) for _ in range(16 + 128)]
    while len(site.requests) < 16:
        await asyncio.sleep(0.01)
    with pytest.raises(Overloaded, match="Too many URLs"):
        await fetch.fetch(site.url(), 100, Requester("alice"))
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_memory_is_reserved_for_what_is_fetched_while_it_arrives(fetcher, site):
    site.says("/small", body=b"x" * 1000)
    site.says("/large", body=b"x" * 2**20)
    sizes = []
    fetch = fetcher()
    await fetch.fetch(site.url("/small"), 2**20, Requester("alice", sizes.append))
    assert sizes == []
    await fetch.fetch(site.url("/large"), 2**20, Requester("alice", sizes.append))
    assert 2**19 < sum(sizes) <= 2**20

    def refuse(_size):
        raise Overloaded("full", 2)

    with pytest.raises(Overloaded, match="full"):
        await fetch.fetch(site.url("/large"), 2**20, Requester("alice", refuse))
