"""A changed configuration takes effect while the gateway serves, and a bad one changes nothing."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.answers import DONE, SEEN, chunk, says, streams
from tests.e2e.conftest import TOKEN
from tests.e2e.process import Gateway, serving, started
from tests.e2e.test_workers import children, until, who_answers
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED: dict[str, Any] = {"model": "openclaw", "messages": [{"role": "user", "content": "hi"}]}


class Setup:
    """A running gateway and its files; `tree` is the configuration as it should be."""

    def __init__(self, folder: Path, gateway: Gateway, tree: dict[str, Any]) -> None:
        self.folder = folder
        self.file = folder / "gateway.json5"
        self.gateway = gateway
        self.tree = tree
        self.token = TOKEN

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        async with (
            aiohttp.ClientSession(self.gateway.url, headers=headers) as session,
            session.request(method, path, **options) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    async def status(self) -> dict[str, Any]:
        code, body = await self.ask("GET", "/api/v1/config")
        assert code == 200
        return body

    def write(self, text: str | None = None) -> None:
        """Replace the file as editors do."""
        new = self.folder / "new"
        new.write_text(json.dumps(self.tree) if text is None else text, encoding="utf-8")
        new.rename(self.file)

    async def noticed(self, **expected: Any) -> dict[str, Any]:
        """Wait until the last result of a reload is as expected."""
        last = None
        try:
            async with asyncio.timeout(20):
                while True:
                    last = (await self.status())["last_reload"]
                    if last and expected.items() <= last.items():
                        return last
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"the last reload is {last}, not {expected}") from None

    async def reload(self) -> dict[str, Any]:
        code, body = await self.ask("POST", "/api/v1/reload")
        assert code == 200, body
        return body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def setup(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reload")
    (folder / "key").write_text("first-key-of-the-provider", encoding="utf-8")
    tree = json.loads(json.dumps(config))
    tree["models"]["providers"]["fake"]["apiKey"] = {"source": "file", "provider": "key", "id": "value"}
    tree["secrets"] = {"providers": {"key": {"source": "file", "path": "key", "mode": "singleValue"}}}
    tree["gateway"]["drain"] = {"noticeMs": 0}
    async with serving(folder, tree) as gateway:
        yield Setup(folder, gateway, tree)


async def test_a_request_keeps_its_configuration_and_the_next_one_has_the_rotated_secret(setup, provider):
    streamed = provider.model(
        streams(chunk({"content": "Hel"}), SEEN, chunk({"content": "lo"}), chunk({}, "stop"), DONE)
    )
    asked = provider.model(says("hi"))
    async with (
        aiohttp.ClientSession(setup.gateway.url, headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        session.post("/v1/chat/completions", json=ASKED | {"stream": True}, headers=streamed.chosen) as response,
    ):
        await response.content.readuntil(b"Hel")
        (setup.folder / "key").write_text("second-key-of-the-provider\n", encoding="utf-8")
        await setup.noticed(status="accepted", trigger="file")
        assert (await setup.ask("POST", "/v1/chat/completions", json=ASKED, headers=asked.chosen))[0] == 200
        streamed.seen.set()
        assert (await response.read()).endswith(b"data: [DONE]\n\n")
    assert streamed.asked[0].headers["Authorization"] == "Bearer first-key-of-the-provider"
    assert asked.asked[0].headers["Authorization"] == "Bearer second-key-of-the-provider"


async def test_a_bad_file_changes_nothing_and_is_named_everywhere(setup, provider):
    generation = (await setup.status())["generation"]
    setup.write(json.dumps(setup.tree)[:200])
    last = await setup.noticed(status="refused")
    assert last["problems"][0].startswith(f"{setup.file}:1:")
    assert (await setup.status())["generation"] == generation
    code, ready = await setup.ask("GET", "/readyz")
    assert (code, ready["ready"], ready["degraded"]) == (200, True, ["configuration"])
    assert (await setup.ask("POST", "/v1/chat/completions", json=ASKED, headers=provider.model(says()).chosen))[
        0
    ] == 200
    code, body = await setup.ask("POST", "/api/v1/reload")
    assert (code, body["error"]["type"], body["error"]["code"]) == (
        422,
        "invalid_configuration",
        "configuration_refused",
    )
    assert str(setup.file) in body["error"]["message"]
    assert "Configuration is refused, the last one stays in force" in setup.gateway.process.errors
    options = ("--config", str(setup.file), "--url", setup.gateway.url)
    async with started("status", *options, state=setup.folder) as command:
        assert await command.ended() == 78
    assert "config  the file is refused" in command.output
    assert '"degraded":["configuration"]' in command.output
    setup.write()
    await setup.noticed(status="unchanged")
    assert (await setup.ask("GET", "/readyz"))[1]["degraded"] == []


async def test_the_doctor_of_a_running_gateway_names_a_key_that_its_file_has_twice(setup):
    setup.write(f'{json.dumps(setup.tree)[:-1]}, "logging": {{}}, "logging": {{}}}}')
    await setup.reload()
    _, body = await setup.ask("GET", "/api/v1/doctor?only=config.warning")
    seen = [finding["seen"] for finding in body["findings"]]
    assert any(one.startswith(f"logging: appears in line 1 and again in line 1 of {setup.file}") for one in seen), seen
    setup.write()
    await setup.reload()


async def test_a_secret_file_that_is_only_begun_is_refused(setup):
    before = (setup.folder / "key").read_text(encoding="utf-8")
    (setup.folder / "key").write_text("", encoding="utf-8")
    last = await setup.noticed(status="refused")
    assert last["problems"] == [f"{setup.folder / 'key'}: is empty now; write it again"]
    (setup.folder / "key").write_text(before, encoding="utf-8")
    await setup.noticed(status="unchanged")


async def test_an_endpoint_is_disabled_and_enabled_again(setup, provider):
    endpoints = setup.tree["gateway"]["http"]["endpoints"]
    endpoints["chatCompletions"]["enabled"] = False
    setup.write()
    await setup.reload()
    assert await setup.ask("POST", "/v1/chat/completions", json=ASKED) == (404, "Not Found")
    assert await setup.ask("GET", "/v1/chat/completions") == (404, "Not Found")
    assert "/v1/chat/completions" not in (await setup.ask("GET", "/openapi.json"))[1]["paths"]
    endpoints["chatCompletions"]["enabled"] = True
    setup.write()
    await setup.reload()
    assert (await setup.ask("GET", "/v1/chat/completions"))[0] == 405
    assert "/v1/chat/completions" in (await setup.ask("GET", "/openapi.json"))[1]["paths"]


async def test_the_gateways_own_token_changes_with_a_signal_although_no_file_is_watched(setup):
    setup.tree["gateway"]["reload"] = {"mode": "off"}
    setup.write()
    await setup.reload()
    assert (await setup.status())["watched"] is False
    setup.tree["gateway"]["auth"]["token"] = "another-" + TOKEN
    setup.write()
    setup.gateway.process.signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while (await setup.ask("GET", "/api/v1/config"))[0] == 200:
        assert time.monotonic() < deadline, "SIGHUP has reloaded nothing"
        await asyncio.sleep(0.05)
    setup.token = "another-" + TOKEN
    last = (await setup.status())["last_reload"]
    assert (last["status"], last["trigger"]) == ("accepted", "signal")
    del setup.tree["gateway"]["reload"]
    setup.write()
    await setup.reload()


async def test_what_needs_a_restart_is_named_by_the_command(setup):
    setup.tree["gateway"]["redis"] = {"keyPrefix": "another"}
    setup.tree["session"] = {"maintenance": {"pruneAfter": "3d"}, "maxBytes": 1_000_000}
    setup.write()
    async with started(
        "reload", "--config", str(setup.file), "--url", setup.gateway.url, state=setup.folder
    ) as command:
        assert await command.ended() == 0
    assert "needs a restart: gateway.redis\nneeds a restart: session.maintenance\n" in command.output
    options = ("--config", str(setup.file), "--url", setup.gateway.url)
    async with started("status", *options, state=setup.folder) as command:
        assert await command.ended() == 0
    assert "config     generation " in command.output
    assert "needs a restart: gateway.redis\n" in command.output
    del setup.tree["gateway"]["redis"], setup.tree["session"]
    setup.write()
    assert (await setup.reload())["last_reload"]["needs_restart"] == []


async def test_swapped_links_are_noticed_as_in_a_config_map(config, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tree = {"gateway": {"drain": {"noticeMs": 0}}} | config
        tree = tree | {"agents": {**config["agents"], "entries": {name: {}, "main": {}}}}
        (tmp_path / name / "openclaw.json").write_text(json.dumps(tree), encoding="utf-8")
    (tmp_path / "..data").symlink_to("one")
    file = tmp_path / "openclaw.json"
    file.symlink_to("..data/openclaw.json")
    async with serving(tmp_path, None, "--config", str(file)) as gateway:
        setup = Setup(tmp_path, gateway, {})
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await setup.noticed(status="accepted")
        ids = [model["id"] for model in (await setup.ask("GET", "/v1/models"))[1]["data"]]
    assert "openclaw/two" in ids
    assert "openclaw/one" not in ids


async def test_all_workers_change_or_none_and_a_new_worker_has_the_accepted_configuration(config, tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    async with redis_server(folder) as server:
        tree = json.loads(json.dumps(config))
        tree["gateway"] |= {"redis": {"url": server.url}, "drain": {"noticeMs": 0}}
        async with serving(tmp_path, tree, "--workers", "2") as gateway:
            setup = Setup(tmp_path, gateway, tree)

            async def agents() -> set[tuple[str, ...]]:
                """What ten connections see, so what both workers do."""
                answers = await asyncio.gather(*(setup.ask("GET", "/v1/models") for _ in range(10)))
                return {tuple(model["id"] for model in body["data"]) for _, body in answers}

            tree["agents"]["entries"]["third"] = {}
            setup.write()
            assert (await setup.reload())["generation"] == 2
            (seen,) = await agents()
            assert "openclaw/third" in seen
            setup.write('{ "gateway": { "prot": 1 } }')
            await setup.noticed(status="refused")
            assert await agents() == {seen}
            worker = min(children(gateway.process.pid))
            os.kill(worker, signal.SIGKILL)
            workers: set[int] = set()

            def replaced() -> bool:
                workers.clear()
                workers.update(children(gateway.process.pid))
                return len(workers) == 2 and worker not in workers

            await until(replaced, "the worker is replaced")
            async with asyncio.timeout(20):
                while len(await who_answers(gateway.url)) < 2:
                    pass
            assert await agents() == {seen}
            gateway.process.signal(signal.SIGHUP)
            await setup.noticed(trigger="signal", status="refused")
