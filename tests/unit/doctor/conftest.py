"""A provider that records what it is asked, and a set-up without faults to put one fault into."""

import copy
import email.utils
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.diagnosis import diagnose, selected
from gateway.doctor.finding import Finding
from gateway.doctor.setup import Machine, load_setup
from tests.process import free_port

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
KEY = "sk-provider-key-that-nothing-may-print"


@dataclass
class FakeProvider:
    """Lists `models` with `status`, or sends `answer`; `skew` seconds are added to its clock.

    `asked` holds method, path and key.
    """

    url: str = ""
    status: int = 200
    models: list[str] = field(default_factory=lambda: ["model-a", "model-b"])
    skew: float = 0.0
    answer: Any = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            refusal = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
            good: Any = {"object": "list", "data": [{"id": name} for name in fake.models]}
            good = good if fake.answer is None else fake.answer
            body = json.dumps(good if fake.status == 200 else refusal).encode()
            self.send_response_only(fake.status)
            self.send_header("Date", email.utils.formatdate(time.time() + fake.skew, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  the name of the base class

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


class HealthySetup:
    """A set-up without faults. A test changes `tree`, `env`, the files or the machine, and then looks."""

    def __init__(self, folder: Path, provider: FakeProvider) -> None:
        self.folder = folder
        self.provider = provider
        self.file = folder / "openclaw.json"
        self.machine = Machine(free_bytes=lambda _: 2**40, open_files=lambda: 65_536)
        self.env = {"OPENCLAW_STATE_DIR": str(folder), "OPENCLAW_GATEWAY_TOKEN": TOKEN, "OWN_KEY": KEY}
        self.host = "127.0.0.1"
        self.tree: dict[str, Any] = {
            "gateway": {"port": free_port(), "http": {"endpoints": {"responses": {"enabled": True}}}},
            "models": {"providers": {"own": {"baseUrl": provider.url, "apiKey": "${OWN_KEY}"}}},
            "agents": {"defaults": {"model": "own/model-a"}},
        }
        folder.chmod(0o700)
        self.write()

    def put(self, path: str, value: Any) -> None:
        """Set a key of the configuration."""
        *parents, last = path.split(".")
        section = self.tree
        for name in parents:
            section = section.setdefault(name, {})
        section[last] = copy.deepcopy(value)
        self.write()

    def write(self) -> None:
        """The file, with the mode that it has or should have."""
        mode = self.file.stat().st_mode if self.file.exists() else 0o600
        self.file.write_text(json.dumps(self.tree), encoding="utf-8")
        self.file.chmod(mode)

    async def findings(self, *only: str, deep: bool = False) -> list[Finding]:
        setup = load_setup(None, self.env, self.machine)
        return await diagnose(setup, selected(only, deep=deep), host=self.host, deep=deep)


@pytest.fixture
def healthy(tmp_path: Path, provider: FakeProvider) -> HealthySetup:
    folder = tmp_path / "state"
    folder.mkdir()
    return HealthySetup(folder, provider)
