import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gateway.cli.main import main


@pytest.fixture
def gateway(monkeypatch):
    """Something that answers as a gateway in the given state would; the port is in the environment."""

    class Answers(BaseHTTPRequestHandler):
        ready = True

        def do_GET(self) -> None:
            assert self.path == "/readyz"
            assert "Authorization" not in self.headers
            body = json.dumps({"ready": self.ready}).encode()
            self.send_response(200 if self.ready else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OPENCLAW_GATEWAY_PORT", str(server.server_port))
        monkeypatch.setenv("OPENCLAW_CONFIG_PATH", "/there/is/none")
        yield Answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("ready", "status"), [(True, 0), (False, 1)])
def test_readiness_alone_needs_no_configuration(gateway, ready, status, capsys):
    gateway.ready = ready
    assert main(["status", "--ready"]) == status
    assert f'"ready": {str(ready).lower()}' in capsys.readouterr().out


def test_an_absent_gateway_is_not_ready(monkeypatch, capsys):
    assert main(["status", "--ready", "--url", "http://127.0.0.1:1"]) == 1
    assert "no gateway answers at http://127.0.0.1:1/readyz" in capsys.readouterr().err


def test_a_health_check_loads_neither_server_nor_configuration():
    code = (
        "import sys; sys.argv[1:] = ['status', '--ready', '--url', 'http://127.0.0.1:1']; "
        "from gateway.__main__ import main; main(); print({'aiohttp', 'pydantic'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()"
