import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gateway.cli.main import EXIT_CONFIG, main
from gateway.cli.status import _AWAY


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


def test_a_refused_file_still_names_the_port_of_the_gateway_that_runs(gateway, monkeypatch, tmp_path, capsys):
    file = tmp_path / "openclaw.json"
    port = os.environ["OPENCLAW_GATEWAY_PORT"]
    monkeypatch.delenv("OPENCLAW_GATEWAY_PORT")
    file.write_text(f"{{gateway: {{port: {port}, prot: 1}}}}", encoding="utf-8")
    assert main(["status", "--config", str(file)]) == EXIT_CONFIG
    printed = capsys.readouterr()
    assert '"ready": true' in printed.out
    assert printed.err.startswith("gateway.prot: unknown key")


def test_a_file_that_can_not_be_parsed_names_no_port(monkeypatch, tmp_path, capsys):
    file = tmp_path / "openclaw.json"
    file.write_text("{gateway: {port: 1", encoding="utf-8")
    monkeypatch.setenv("OPENCLAW_CONFIG_PATH", str(file))
    monkeypatch.setattr("gateway.cli.status._get", lambda *_: (False, _AWAY))
    assert main(["status"]) == EXIT_CONFIG
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "ready   no"
    assert "This is the default port, as the file's can't be read; or name the gateway by --url." in printed.err


def test_an_absent_file_is_named_when_nobody_answers_at_the_default_port(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("OPENCLAW_GATEWAY_PORT", "1")
    assert main(["status"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "ready   no\n"
    assert printed.err.splitlines() == [
        "no gateway answers at http://127.0.0.1:1/readyz: [Errno 111] Connection refused",
        f"There is no {tmp_path / 'openclaw.json'}, so this is the default port.",
    ]


def test_a_health_check_loads_neither_server_nor_configuration():
    code = (
        "import sys; sys.argv[1:] = ['status', '--ready', '--url', 'http://127.0.0.1:1']; "
        "from gateway.__main__ import main; main(); print({'aiohttp', 'pydantic'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()"
