"""How a provider's key is sent, and how a request that has to be signed is."""

from dataclasses import replace

import pytest

from gateway.upstream.authorise import fixed_headers, key_header
from gateway.upstream.provider import Provider
from gateway.wire.contract import WireRequest

ASKED = WireRequest("/chat", b"{}")


def lines(endpoint):
    return endpoint.head.decode().split("\r\n")


def test_a_key_is_a_bearer_token_unless_the_row_has_another_header_for_it():
    assert fixed_headers("k", {})["Authorization"] == "Bearer k"
    assert fixed_headers("k", {}, key_header("x-api-key")) == {"x-api-key": "k"}


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_a_configured_header_replaces_the_keys_own_whatever_its_case(name):
    headers = fixed_headers("k", {name: "Basic b"})
    assert [value for header, value in headers.items() if header.lower() == "authorization"] == ["Basic b"]


async def test_a_request_that_needs_no_headers_of_its_own_uses_the_prebuilt_head():
    provider = Provider("p", "http://p/v1", headers=fixed_headers("k", {}))
    assert await provider.signed(ASKED) is provider.endpoint("/chat")


async def test_every_request_is_signed_with_its_own_body_and_nothing_of_a_signature_stays():
    async def signature(endpoint, asked):
        return {"X-Signature": f"{endpoint.origin.host} {len(asked.body)}"}

    provider = Provider("p", "http://p/v1", headers=fixed_headers(None, {}), signer=signature)
    signed = await provider.signed(replace_body(ASKED, b"12345"))
    assert lines(signed)[-2:] == ["X-Signature: p 5", "Content-Length: "]
    assert signed.origin == provider.endpoint("/chat").origin
    assert "X-Signature" not in provider.endpoint("/chat").head.decode()


async def test_headers_of_the_format_are_sent_and_one_that_cant_be_is_refused():
    provider = Provider("p", "http://p/v1")
    made = await provider.signed(WireRequest("/chat", b"", {"version": "1"}))
    assert "version: 1" in lines(made)
    assert await provider.signed(WireRequest("/chat", b"{}", {"version": "1"})) is made
    with pytest.raises(ValueError, match="line break"):
        await provider.signed(WireRequest("/chat", b"", {"version": "1\r\nX: y"}))


async def test_every_header_is_sent_once_a_signature_over_the_rows_over_the_formats():
    async def signature(_endpoint, _asked):
        return {"X-Date": "signed"}

    row = {"x-version": "row", "x-date": "row"}
    provider = Provider("p", "http://p/v1", headers=fixed_headers("k", row), signer=signature)
    asked = WireRequest("/chat", b"", {"X-Version": "format", "Content-Type": "text/x-toy", "X-Beta": "format"})
    sent = [line for line in lines(await provider.signed(asked)) if line.lower().startswith(("x-", "content-type"))]
    assert sent == ["Content-Type: text/x-toy", "X-Beta: format", "x-version: row", "X-Date: signed"]


def test_cached_addresses_are_bounded():
    provider = replace(Provider("p", "http://p/v1"), id="q")
    for number in range(1000):
        assert provider.endpoint(f"/models/{number}").head.startswith(f"POST /v1/models/{number} ".encode())
    assert len(provider.endpoints) == 64


def replace_body(asked, body):
    return WireRequest(asked.path, body, asked.headers)
