"""Files and images by URL, fetched by a real gateway process from public hosts only."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.process import environment
from tests.e2e.public_network import OWN, PNG, PORT
from tests.process import MAX_WAIT, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SITE = f"http://site.test:{PORT}"
NETWORK = ("unshare", "--map-root-user", "--net", "--mount")


def with_file(url):
    parts = [{"type": "input_text", "text": "read"}, {"type": "input_file", "file_url": url}]
    return "/v1/responses", {"model": "openclaw", "input": [{"role": "user", "content": parts}]}


def with_picture(url):
    parts = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": url}]
    return "/v1/responses", {"model": "openclaw", "input": [{"role": "user", "content": parts}]}


def chat_with_picture(url):
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}}]
    return "/v1/chat/completions", {"model": "openclaw", "messages": [{"role": "user", "content": parts}]}


ASKING = {with_file: "invalid_file_url", with_picture: "invalid_image_url", chat_with_picture: "invalid_image_url"}


@pytest.fixture(scope="module")
def config(config):
    config["gateway"]["http"]["endpoints"]["chatCompletions"]["images"] = {"allowUrl": True}
    return config


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "2130706433", "[::ffff:10.0.0.1]"]
)
async def test_a_private_address_is_refused_in_the_apis_own_shape(client, gateway, asking, host):
    path, body = asking(f"http://{host}:{gateway.port}/healthz")
    async with client.post(path, json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["type"], error["code"]) == (400, "invalid_request_error", ASKING[asking])
    assert "could not be fetched" in error["message"]
    assert "address" not in error["message"], "what lies behind it is nobody's business"


INTERNAL = ("inside.test", "localhost", "127.0.0.1", "mixed.test", "own.test", OWN)


@pytest.fixture(scope="module")
def network():
    """The command that creates a network namespace; some machines don't allow it."""
    if (
        shutil.which(NETWORK[0]) is None
        or subprocess.run([*NETWORK, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this machine lets nobody make a network of their own (unshare --map-root-user --net --mount)")
    return NETWORK


@pytest.fixture
def fetched(network, tmp_path):
    """The results of requests inside a network where `site.test` is a public host."""

    async def ask(*requests):
        endpoints = {"responses": {"enabled": True}, "chatCompletions": {"enabled": True, "images": {"allowUrl": True}}}
        config = {
            "gateway": {"auth": {"mode": "none"}, "http": {"endpoints": endpoints}, "retry": {"maxRetries": 0}},
            "agents": {"defaults": {"model": {"primary": "fake/sees"}}, "entries": {"main": {}}},
        }
        for name, content in (("config", config), ("requests", requests)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        root = str(Path(__file__).parents[2])
        command = [*network, sys.executable, "-m", "tests.e2e.public_network", str(tmp_path)]
        async with running(command, directory=Path(root), environment=environment(tmp_path)) as process:
            assert await process.ended(2 * MAX_WAIT) == 0, process.errors
        return json.loads(process.output)

    return ask


async def test_files_and_pictures_of_a_public_host_reach_the_model(fetched):
    moved = f"{SITE}/moved?to={SITE}/picture"
    file, picture, chat = await fetched(
        with_file(f"{SITE}/notes.txt"), with_picture(moved), chat_with_picture(f"{SITE}/picture")
    )
    assert [answer["status"] for answer in (file, picture, chat)] == [200, 200, 200]
    system, user = file["messages"]
    assert '<file name="notes.txt">' in system["content"]
    assert "\nHello from afar\n" in system["content"]
    assert user["content"] == "read"
    sent = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    for answer in (picture, chat):
        assert answer["messages"][0]["content"][1]["image_url"]["url"] == sent
    assert picture["asked"] == [f"site.test:{PORT} /moved", f"site.test:{PORT} /picture"]


@pytest.mark.parametrize("asking", ASKING)
async def test_no_internal_address_is_requested_by_name_or_redirect(fetched, asking):
    direct = [f"http://{host}:{PORT}/picture" for host in INTERNAL]
    moved = [f"{SITE}/moved?to={url}" for url in direct]
    answers = await fetched(*map(asking, direct + moved))
    for answer in answers:
        error = answer["body"]["error"]
        assert (answer["status"], error["code"], answer["messages"]) == (400, ASKING[asking], None)
    assert [answer["asked"] for answer in answers] == [[]] * len(direct) + [[f"site.test:{PORT} /moved"]] * len(moved)
