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
