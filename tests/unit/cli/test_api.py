"""How commands ask a gateway: the credential goes to it and to nobody else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.cli.api import ask, base_url
from gateway.cli.main import main
from gateway.config.auth import GeneratedToken
from gateway.config.gateway import GatewayConfig

TOKEN = "token-that-goes-to-the-gateway-only"


class Server:
    """Answers every request with `body` or with a redirect, and records who was asked with which credential."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.location = ""
        self.body = b'{"object":"x"}'
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization")))
                self.send_response_only(302 if server.location else server.status)
                self.send_header("Location", server.location)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_: Any) -> None:
                """Nothing is logged."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    both = Server(), Server()
    threads = [threading.Thread(target=one.server.serve_forever, args=(0.01,)) for one in both]
    for thread in threads:
        thread.start()
    yield both
    for one, thread in zip(both, threads, strict=True):
        one.server.shutdown()
        thread.join()
        one.server.server_close()


def config(port: int) -> GatewayConfig:
    gateway = GatewayConfig(port=port)
    return gateway.model_copy(
        update={"auth": gateway.auth.model_copy(update={"mode": "token", "token": SecretStr(TOKEN)})}
    )


def test_a_redirect_does_not_carry_the_credential_to_another_host(servers):
    gateway, other = servers
    gateway.location = f"http://127.0.0.1:{other.port}/elsewhere"
    answer = ask("GET", f"{base_url(config(gateway.port))}/api/v1/config", config(gateway.port))
    assert answer["problem"].startswith("302 ")
    assert gateway.asked == [("/api/v1/config", f"Bearer {TOKEN}")]
    assert other.asked == []


def test_a_refused_credential_is_explained_and_a_generated_token_is_not_sent(servers):
    gateway, _ = servers
    gateway.status, gateway.body = (
        401,
        b'{"error":{"message":"Unauthorized","type":"unauthorized","param":null,"code":null}}',
    )
    settings = config(gateway.port)
    generated = settings.auth.model_copy(update={"token": GeneratedToken("made-at-start")})
    for one in (settings, settings.model_copy(update={"auth": generated})):
        answer = ask("GET", f"{base_url(one)}/api/v1/keys", one)
        assert answer["problem"].startswith("401 Unauthorized; give this command the gateway's own token or password: ")
    assert [sent for _, sent in gateway.asked] == [f"Bearer {TOKEN}", None]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_gateway_of_this_machine_is_asked_without_the_proxy_of_the_environment(servers, monkeypatch, name):
    gateway, proxy = servers
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask("GET", f"{base_url(config(gateway.port))}/api/v1/config", config(gateway.port)) == {"object": "x"}
    assert proxy.asked == []


@pytest.mark.parametrize("body", [b"", b"<h1>hello</h1>", b"[]", b'"x"', b"{}", b"[" * 100_000], ids=range(6))
def test_another_program_on_the_port_is_named_as_such(servers, body):
    gateway, _ = servers
    gateway.body = body
    answer = ask("GET", f"{base_url(config(gateway.port))}/api/v1/config", config(gateway.port))
    assert "no openclaw-gateway" in answer["problem"]


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000], ids=range(3))
def test_the_report_of_another_program_is_an_error(servers, body, capsys, tmp_path):
    gateway, _ = servers
    gateway.body = body
    file = tmp_path / "openclaw.json"
    file.write_text("{}")
    assert main(["usage", "--config", str(file), "--url", f"http://127.0.0.1:{gateway.port}"]) == 1
    assert "no openclaw-gateway" in capsys.readouterr().err
