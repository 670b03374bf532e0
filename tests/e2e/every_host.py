"""A network in which every host is this machine: `python -m tests.e2e.every_host FOLDER`, which `unshare` has given a
network and mounts of its own.

FOLDER/runs.json has, by name, a configuration file, its environment and its state directory. For each, `check` and
`serve` judge it; where it is served, each of its agents is asked once. What came of it is printed as JSON: both
verdicts, the answers, and the address of every request that left the gateway, to whatever host and port.
"""

import asyncio
import datetime as dt
import json
import os
import signal
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from gateway.cli.main import EXIT_CONFIG
from gateway.core.errors import ConfigError
from gateway.upstream.catalog import CATALOG
from gateway.validation import Valid, validated
from tests import fork_server
from tests.e2e.process import environment, start_gateway
from tests.e2e.public_network import bring_up
from tests.process import free_port

PONG = "pong"
TOKEN = "token-of-the-environment"


def ports_and_hosts(configs: list[Path]) -> tuple[set[int], set[str]]:
    """Those of the catalogue, and every one that a file mentions."""
    urls = [URL(row.url({})) for row in CATALOG.values() if row.base_url]
    for file in configs:
        words = file.read_text(encoding="utf-8").replace('"', " ").replace("'", " ").split()
        urls += [URL(word) for word in words if word.startswith(("http://", "https://")) and "$" not in word]
    return {url.port for url in urls if url.port} - {443}, {url.host for url in urls if url.host}


def certificate(folder: Path, hosts: set[str]) -> Path:
    """A certificate for these hosts, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "every host")])
    now = dt.datetime.now(tz=dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in sorted(hosts)])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "hosts.pem"
    file.write_bytes(signed.public_bytes(encoding) + private)
    return file


def whole(path: str) -> Mapping[str, Any]:
    """The answer of each wire format."""
    if path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": PONG}
        return {
            "id": "1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    if path.endswith("/messages"):
        content = [{"type": "text", "text": PONG}]
        usage = {"input_tokens": 1, "output_tokens": 1}
        return {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": "end_turn",
            "usage": usage,
        }
    if path.endswith("/responses"):
        content = [{"type": "output_text", "text": PONG, "annotations": []}]
        item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
        return {"id": "1", "object": "response", "status": "completed", "output": [item]}
    if path.endswith("/api/chat"):
        return {"message": {"role": "assistant", "content": PONG}, "done": True, "done_reason": "stop"}
    if path.endswith("/converse"):
        message = {"role": "assistant", "content": [{"text": PONG}]}
        usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
    candidate = {"content": {"role": "model", "parts": [{"text": PONG}]}, "finishReason": "STOP"}
    return {"candidates": [candidate]}


async def serve_every_host(asked: list[str], ports: set[int], pem: Path) -> web.AppRunner:
    """Answer on every port, and note the requests."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.scheme}://{request.host}{request.path}")
        return web.json_response(whole(request.path))

    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem)
    await web.TCPSite(runner, "127.0.0.1", 443, ssl_context=tls).start()
    for port in ports:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def judged(run: Mapping[str, Any], pem: Path, asked: list[str]) -> dict[str, Any]:
    """Both verdicts on one configuration, and its agents' answers."""
    asked.clear()
    port = free_port()
    env = environment(Path(run["state"])) | {"OPENCLAW_GATEWAY_TOKEN": TOKEN} | run["env"] | {"SSL_CERT_FILE": str(pem)}
    options = ["--config", run["config"], "--port", str(port), "--bind", "loopback", "--endpoints", "chat"]
    problems = problems_of(Path(run["config"]), env)
    process = await start_gateway("serve", *options, environment=env)
    try:
        await process.wait_for_output("Listening")
        answers = await answers_of(validated(Path(run["config"]), env, bind="loopback"), port)
    except AssertionError:
        assert await process.ended() == EXIT_CONFIG
        return {"check": problems, "serve": process.errors.splitlines(), "answers": {}, "asked": asked[:]}
    finally:
        if process.running:
            process.signal(signal.SIGKILL)  # a file may ask for a slow shutdown
        await process.stop()
    return {"check": problems, "serve": [], "answers": answers, "asked": sorted(set(asked))}


def problems_of(config: Path, env: Mapping[str, str]) -> list[str]:
    """What `check` lists."""
    try:
        validated(config, env, bind="loopback", endpoints=("chatCompletions",))
    except ConfigError as error:
        return list(error.problems)
    return []


async def answers_of(valid: Valid, port: int) -> dict[str, str]:
    """The text of each agent's answer, or its error."""
    auth = valid.loaded.config.gateway.auth
    secret = auth.password if auth.mode == "password" else auth.token
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"} if secret else {}
    answers = {}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as client:
        for agent in valid.directory.agents:
            body = {"model": f"openclaw/{agent.id}", "messages": [{"role": "user", "content": "ping"}]}
            async with client.post("/v1/chat/completions", json=body) as response:
                answer = await response.json()
            choices = answer.get("choices")
            answers[agent.id] = choices[0]["message"]["content"] if choices else f"{response.status} {answer['error']}"
    return answers


async def main(folder: Path) -> dict[str, Any]:
    runs = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    ports, hosts = ports_and_hosts([Path(run["config"]) for run in runs.values()])
    bring_up(folder, "".join(f"127.0.0.1 {host}\n" for host in sorted({*hosts, "localhost"})))
    pem = certificate(folder, hosts)
    asked: list[str] = []
    server = await serve_every_host(asked, ports, pem)
    os.environ["SSL_CERT_FILE"] = str(pem)  # aiohttp reads it when it is imported: in the server that forks gateways
    results = {}
    for name, run in runs.items():
        results[name] = await judged(run, pem, asked)
    await server.cleanup()
    fork_server.SHARED.close()
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
