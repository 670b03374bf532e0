import pytest
from yarl import URL

from gateway.http.routes import is_exact


@pytest.mark.parametrize(
    ("raw_path", "exact"),
    [
        ("/v1/models", True),
        ("/v1/models/openclaw%2Fdefault", True),
        ("/v1/models/openclaw%2Fdefault?a=%20", True),
        ("/v1/chat/completions?a=%20", True),
        ("/api/v1/sessions/a%2Fb", True),
        ("/api/v1/runs/a%2Fb", True),
        ("/v1/%6dodels", False),
        ("/v1/chat%2Fcompletions", False),
        ("/%76%31/chat/completions?a=b", False),
    ],
)
def test_escapes_are_accepted_where_clients_choose_the_name_only(raw_path, exact):
    assert is_exact(raw_path) is exact


@pytest.mark.parametrize("escaped", ["a%2Fb%3Ac%40d", "a/b:c@d"], ids=["as encodeURIComponent writes it", "plain"])
async def test_a_run_is_read_by_any_id_that_a_client_may_choose(client, provider, escaped):
    provider.says("Hello")
    chat = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}
    async with client.post("/v1/chat/completions", json=chat, headers={"x-request-id": "a/b:c@d"}) as response:
        assert response.headers["x-request-id"] == "a/b:c@d"
    async with client.get(URL(f"/api/v1/runs/{escaped}", encoded=True)) as response:
        assert response.status == 200, await response.text()
