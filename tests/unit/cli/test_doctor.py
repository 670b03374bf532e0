"""The command `doctor`: exit status, output and what `--fix` changes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests.process import free_port

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
LOCAL = ("config", "endpoints", "auth", "files", "state", "port", "secret")


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("CONFIG_PATH", "GATEWAY_PASSWORD", "GATEWAY_PORT", "REDIS_URL"):
        monkeypatch.delenv(f"OPENCLAW_{name}", raising=False)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", TOKEN)
    # The log is set up for a whole process, so that would change other tests.
    monkeypatch.setattr("gateway.cli.doctor.logs.configure", lambda **_: None)
    tmp_path.chmod(0o700)
    file = tmp_path / "openclaw.json"
    write(file)
    return file


def write(file: Path, *, endpoint: bool = True) -> None:
    tree = {
        "gateway": {"port": free_port(), "http": {"endpoints": {"responses": {"enabled": endpoint}}}},
        "models": {"providers": {"own": {"baseUrl": "http://127.0.0.1:9/v1"}}},
        "agents": {"defaults": {"model": "own/m"}},
    }
    file.write_text(json.dumps(tree), encoding="utf-8")
    file.chmod(0o600)


def doctor(*words: str) -> int:
    return main(["doctor", *words, *(word for group in LOCAL for word in ("--only", group))])


def test_no_findings_exit_with_0(file, capsys):
    assert doctor() == 0
    assert capsys.readouterr().out == "no findings\n"


def test_an_error_exits_with_1_and_says_what_why_and_how(file, capsys):
    write(file, endpoint=False)
    assert doctor() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error    endpoints.off: gateway.http.endpoints: no endpoint is enabled")
    assert lines[1] == "         why: Every API request is answered with 404."
    assert lines[2].startswith("         fix: set chatCompletions.enabled")
    assert lines[3] == "1 error"
    assert doctor("--endpoints", "chat") == 0


def test_a_warning_exits_with_1_only_under_strict_and_fix_corrects_the_mode(file, capsys):
    file.chmod(0o644)
    assert doctor() == 0
    assert doctor("--strict") == 1
    capsys.readouterr()
    assert doctor("--fix", "--strict", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == []
    assert report["fixed"] == [
        {
            "id": "files.config-mode",
            "severity": "warning",
            "seen": f"{file} has mode 0644",
            "why": "Other users of this machine can read or change the configuration.",
            "fix": f"chmod 600 {file}",
        }
    ]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_unknown_id_is_a_wrong_command_line(file, capsys):
    assert main(["doctor", "--only", "weather"]) == 2
    assert "there is no check 'weather'" in capsys.readouterr().err


def test_before_the_first_start_there_is_nothing_to_check(file, capsys, monkeypatch):
    file.unlink()
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert main(["doctor", "--json"]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["id"], finding["fix"]) == ("config.first-run", "openclaw-gateway serve")


def test_the_output_of_json_is_json_while_redis_is_away(file):
    tree = json.loads(file.read_text(encoding="utf-8"))
    tree["gateway"]["redis"] = {"url": f"redis://127.0.0.1:{free_port()}/0"}
    file.write_text(json.dumps(tree), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "doctor", "--json", "--only", "redis"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (finding,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, finding["id"], done.stderr) == (1, "redis.unreachable", "")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--url", "http://127.0.0.1:1", "--fix"], "--fix changes files of this machine"),
        (["--url", "127.0.0.1:1"], "127.0.0.1:1 is not an http(s) URL"),
        (["--deep", "--only", "front"], "front needs --url"),
        (["--only", "front.buffers"], "front.buffers needs --deep"),
    ],
)
def test_options_that_exclude_each_other_are_a_wrong_command_line(file, capsys, words, problem):
    assert main(["doctor", *words]) == 2
    assert problem in capsys.readouterr().err


@pytest.fixture
def newer() -> Iterator[tuple[str, list[str]]]:
    """A gateway that reports an id of a later version, and the paths that it was asked for."""
    asked: list[str] = []
    finding = {"id": "weather.storm", "severity": "error", "seen": "a storm", "why": "It is wet.", "fix": "go inside"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"object": "doctor", "deep": False, "findings": [finding]}).encode()
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_finding_that_only_the_running_gateway_knows_is_printed_and_decides(file, capsys, newer):
    url, asked = newer
    assert main(["doctor", "--url", url, "--only", "redis"]) == 1
    assert asked == ["/api/v1/doctor?only=redis"]
    assert capsys.readouterr().out.splitlines() == [
        "error    weather.storm: a storm",
        "         why: It is wet.",
        "         fix: go inside",
        "1 error",
    ]


def test_no_gateway_at_the_address_exits_with_1(file, capsys):
    assert main(["doctor", "--url", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "no gateway answers at" in capsys.readouterr().err
