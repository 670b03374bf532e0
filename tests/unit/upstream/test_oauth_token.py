"""Tokens that are renewed beside the requests: a real token server, and a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.upstream.http import DEFAULTS
from gateway.upstream.oauth_token import Login, TokenSource
from gateway.upstream.transport.endpoint import endpoint
from gateway.wire.contract import WireRequest

TARGET = endpoint("https://model.internal/v1/x", {}, DEFAULTS)
ASKED = WireRequest("/x", b"{}")


def token(name: str, seconds: int = 3600) -> tuple[int, dict[str, Any]]:
    return 200, {"access_token": name, "expires_in": seconds, "token_type": "Bearer"}


@pytest.fixture
async def tokens(aiohttp_server: Any) -> AsyncIterator[SimpleNamespace]:
    """A token server, its answers, and the source of tokens."""
    state = SimpleNamespace(answers=[], asked=0, now=1_800_000_000.0, open=asyncio.Event(), forms=[], counted=0.0)
    state.open.set()

    async def grant(request: web.Request) -> web.Response:
        state.asked += 1
        state.forms.append(dict(await request.post()))
        await state.open.wait()
        status, body = state.answers.pop(0)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/token", grant)
    state.url = str((await aiohttp_server(app)).make_url("/token"))
    login = Login("The login", "sign in again", state.url, lambda now: {"now": str(now)}, {"x-project": "p"})
    state.source = TokenSource(login, clock=lambda: state.now, monotonic=lambda: state.counted)
    yield state
    state.open.set()
    await state.source.close()


async def headers(tokens: SimpleNamespace) -> dict[str, str]:
    return dict(await tokens.source(TARGET, ASKED))


def bearing(name: str) -> dict[str, str]:
    return {"x-project": "p", "Authorization": f"Bearer {name}"}


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_concurrent_requests_share_the_first_token(tokens):
    tokens.answers = [token("a")]
    assert await asyncio.gather(*(headers(tokens) for _ in range(5))) == [bearing("a")] * 5
    tokens.now += 3200
    assert await headers(tokens) == bearing("a")
    assert tokens.forms == [{"now": "1800000000.0"}]


async def test_a_token_that_ends_soon_is_renewed_while_requests_use_it(tokens):
    tokens.answers = [token("a"), token("b")]
    await headers(tokens)
    tokens.open.clear()
    tokens.now += 3400
    assert [await headers(tokens) for _ in range(3)] == [bearing("a")] * 3
    await until(lambda: tokens.asked == 2)
    tokens.open.set()
    await until(lambda: not tokens.answers)
    while await headers(tokens) == bearing("a"):
        await asyncio.sleep(0.001)
    assert await headers(tokens) == bearing("b")
    assert tokens.asked == 2


async def test_a_renewal_that_fails_is_repeated_later_while_the_token_is_valid(tokens):
    tokens.answers = [token("a"), (503, {}), token("b")]
    await headers(tokens)
    tokens.now += 3400
    assert await headers(tokens) == bearing("a")
    await until(lambda: tokens.source._renewal is None)
    tokens.now += 20
    assert await headers(tokens) == bearing("a")
    assert tokens.asked == 2
    tokens.now += 20
    await headers(tokens)
    await until(lambda: tokens.source._renewal is None)
    assert await headers(tokens) == bearing("b")


async def test_no_request_uses_a_token_that_has_ended(tokens):
    tokens.answers = [token("a", 60), token("b")]
    await headers(tokens)
    tokens.now += 51
    assert await headers(tokens) == bearing("b")


@pytest.mark.parametrize(("stepped", "counted"), [(-86_400, 3590), (3590, 10)], ids=["set back", "asleep"])
async def test_a_token_ends_although_one_of_the_clocks_does_not_say_so(tokens, stepped, counted):
    tokens.answers = [token("a"), token("b")]
    await headers(tokens)
    tokens.now += stepped
    tokens.counted += counted
    assert await headers(tokens) == bearing("b")


async def test_a_request_that_is_given_up_does_not_end_the_renewal_of_others(tokens):
    tokens.answers = [token("a")]
    tokens.open.clear()
    first, second = (asyncio.create_task(headers(tokens)) for _ in range(2))
    await until(lambda: tokens.asked == 1)
    first.cancel()
    tokens.open.set()
    assert await second == bearing("a")
    assert first.cancelled()


async def test_closing_ends_the_renewal(tokens):
    tokens.answers = [token("a"), token("b")]
    await headers(tokens)
    tokens.open.clear()
    tokens.now += 3400
    await headers(tokens)
    await until(lambda: tokens.asked == 2)
    await tokens.source.close()
    assert tokens.source._renewal is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
            Kind.AUTH,
            "Token has been expired or revoked; sign in again.",
        ),
        (401, {"error": "invalid_client"}, Kind.AUTH, "invalid_client; sign in again."),
        (
            401,
            {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret.\r\nTrace ID: 1"},
            Kind.AUTH,
            "AADSTS7000215: Invalid secret; sign in again.",
        ),
        (200, {"id_token": "x"}, Kind.AUTH, "status 200; sign in again."),
        (404, {}, Kind.AUTH, "status 404; sign in again."),
        (429, {}, Kind.CONNECT, "status 429."),
        (503, [], Kind.CONNECT, "status 503."),
    ],
)
async def test_a_refused_login_says_why_and_what_to_do_and_is_tried_again(tokens, status, body, kind, reason):
    tokens.answers = [(status, body), token("a")]
    raised = await asyncio.gather(headers(tokens), headers(tokens), return_exceptions=True)
    assert all(isinstance(error, UpstreamError) and error.kind is kind for error in raised)
    assert [str(error) for error in raised] == [f"The login got no token, its server says: {reason}"] * 2
    assert raised[0] is not raised[1]
    assert await headers(tokens) == bearing("a")


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"expires_in": "86399", "expires_on": "1"}, 86399),
        ({"expires_on": "1800001000"}, 1000),
        ({"expires_in": "soon"}, 3600),
        ({"expires_in": -1}, 3600),
        ({}, 3600),
    ],
)
async def test_the_end_of_a_token_is_read_in_every_form_in_which_servers_send_it(tokens, fields, seconds):
    tokens.answers = [(200, {"access_token": "a", **fields}), token("b")]
    await headers(tokens)
    tokens.now += seconds - 11
    assert await headers(tokens) == bearing("a")
    await until(lambda: not tokens.answers)
    tokens.now += 1
    assert await headers(tokens) == bearing("b")


async def test_a_token_server_that_is_away_is_named(unused_tcp_port):
    uri = f"http://127.0.0.1:{unused_tcp_port}/token"
    source = TokenSource(Login("The login", "", uri, lambda _: {}))
    with pytest.raises(UpstreamError, match=f"token server {uri} can't be reached: refused") as raised:
        await source(TARGET, ASKED)
    assert raised.value.kind is Kind.CONNECT


async def test_a_login_whose_file_is_gone_says_so():
    def gone(_now: float) -> dict[str, str]:
        raise ValueError("FILE can't be read: No such file")

    source = TokenSource(Login("The login", "", "http://127.0.0.1:1/token", gone))
    with pytest.raises(UpstreamError, match="The login can't be used: FILE can't be read") as raised:
        await source(TARGET, ASKED)
    assert raised.value.kind is Kind.AUTH
