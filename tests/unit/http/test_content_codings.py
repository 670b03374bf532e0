"""Requests with a compressed body (RFC 9110 §8.4), as Codex and some HTTP stacks send them."""

import gzip
import json
import sys
import zlib

import brotli
import pytest

from gateway.http.large_bodies import LARGE_BODIES, MAX_VALUES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}
CHAT = "/v1/chat/completions"
PATHS = pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
MiB = 2**20


def body(path, text="hi"):
    prompt = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"input": text}
    return json.dumps({"model": "openclaw", **prompt}).encode()


def post(client, path, data, coding):
    return client.post(path, data=data, headers={"Content-Type": "application/json", "Content-Encoding": coding})


@PATHS
@pytest.mark.parametrize("coding", COMPRESS)
@pytest.mark.parametrize("size", [2, 300_000])
async def test_a_compressed_request_is_answered_like_a_plain_one(client, provider, path, coding, size):
    provider.says("Hello")
    response = await post(client, path, COMPRESS[coding](body(path, "x" * size)), coding.upper())
    assert response.status == 200
    assert provider.asked[0]["messages"][-1]["content"] == "x" * size
    assert client.app[LARGE_BODIES].used == 0


async def test_an_embeddings_request_may_be_compressed(client):
    response = await post(client, "/v1/embeddings", gzip.compress(b'{"input": "hi"}'), "gzip")
    assert (await response.json())["error"]["param"] == "model"


async def test_identity_is_no_coding(client, provider):
    provider.says("Hello")
    assert (await post(client, CHAT, body(CHAT), "identity")).status == 200


@PATHS
@pytest.mark.parametrize("coding", ["lzma", "gzip, lzma", "gzip, br, zstd, gzip", "aws-chunked"])
async def test_another_coding_is_a_415_that_names_the_accepted_ones(client, path, coding):
    response = await post(client, path, b"abc", coding)
    assert response.status == 415
    assert response.headers["Accept-Encoding"] == "gzip, deflate, br, zstd"
    error = (await response.json())["error"]
    assert error["code"] == "unsupported_content_coding"
    assert coding in error["message"]


@PATHS
@pytest.mark.parametrize("coding", ["gzip, br", "ZSTD,deflate", "br, identity, gzip", "gzip, gzip, gzip"])
async def test_codings_that_were_applied_one_after_another_are_decoded(client, provider, path, coding):
    provider.says("Hello")
    data = body(path)
    for name in coding.lower().split(","):
        data = COMPRESS.get(name.strip(), bytes)(data)
    response = await post(client, path, data, coding)
    assert response.status == 200, await response.text()
    assert "Hello" in await response.text()


async def test_the_limit_of_a_body_counts_between_its_codings_too(client):
    header = b"\x1f\x8b\x08\x10" + bytes(6)  # a member with a comment, which is no part of its content
    member = header + b"x" * 30 * MiB + b"\0" + gzip.compress(body(CHAT), mtime=0)[10:]
    response = await post(client, CHAT, gzip.compress(member), "gzip, gzip")
    assert response.status == 400
    assert "too large between its codings" in await response.text()
    response = await post(client, CHAT, gzip.compress(gzip.compress(bytes(200 * MiB))), "gzip, gzip")
    assert response.status == 413
    assert client.app[LARGE_BODIES].used == 0


async def test_a_body_that_is_cut_in_its_inner_coding_is_a_400(client):
    cut = gzip.compress(gzip.compress(body(CHAT))[:-9])
    response = await post(client, CHAT, cut, "gzip, gzip")
    assert response.status == 400
    assert (await response.json())["error"]["code"] == "invalid_content_coding"


@pytest.mark.parametrize("coding", COMPRESS)
async def test_the_limit_of_a_body_counts_after_decoding(client, coding):
    response = await post(client, CHAT, COMPRESS[coding](body(CHAT, "x" * 21 * MiB)), coding)
    assert response.status == 413
    assert client.app[LARGE_BODIES].used == 0


async def test_the_values_of_a_body_count_after_decoding(client):
    response = await post(client, CHAT, gzip.compress(b'{"messages":[' + b"1," * MAX_VALUES * 2 + b"1]}"), "gzip")
    assert response.status == 413
    assert "JSON values" in await response.text()


@pytest.mark.parametrize("data", [b'{"messages": []}', gzip.compress(b"{}" * 100, mtime=0)[:-9]])
async def test_a_body_that_is_not_in_its_coding_is_a_400_that_says_so(client, data):
    response = await post(client, CHAT, data, "gzip")
    assert response.status == 400
    error = (await response.json())["error"]
    assert error["code"] == "invalid_content_coding"
    assert "gzip" in error["message"]
