"""`HEAD` sends no body, so the next response on the connection begins where the client expects it."""

import asyncio

import pytest

from tests.unit.http.conftest import TOKEN

STREAMED = ["/api/v1/doctor/stream", "/api/v1/usage?by=row", "/api/v1/usage?by=row&format=csv"]


@pytest.mark.parametrize("path", [*STREAMED, "/v1/models", "/api/v1/usage", "/metrics", "/openapi.json", "/nowhere"])
async def test_the_answer_to_head_ends_with_its_head(client, path):
    reader, writer = await asyncio.open_connection(client.host, client.port)
    try:
        async with asyncio.timeout(10):
            for line in (f"HEAD {path}", "GET /healthz"):
                writer.write(f"{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            first, second = [await reader.readuntil(b"\r\n\r\n") for _ in range(2)]
    finally:
        writer.close()
        await writer.wait_closed()
    assert first.startswith(b"HTTP/1.1 404" if path == "/nowhere" else b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"anthropic-version": "2023-06-01"}], ids=["openai", "anthropic"])
@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "lifecycle=sometimes"])
async def test_a_page_of_models_that_can_not_be_is_refused_in_every_form(client, method, headers, query):
    response = await client.request(method, f"/v1/models?{query}", headers=headers)
    assert response.status == 400
    assert (await client.request(method, "/v1/models?limit=1000&lifecycle=active", headers=headers)).status == 200
