"""While requests are served, the event loop's own thread opens no file, resolves no name and starts no process."""

import sys
import threading
from contextlib import contextmanager

import pytest

BLOCKING = frozenset({"open", "os.listdir", "os.scandir", "socket.getaddrinfo", "subprocess.Popen", "time.sleep"})
watching: list[tuple[int, list[str]]] = []


def hook(event, arguments):
    if watching and event in BLOCKING and threading.get_ident() == watching[-1][0]:
        watching[-1][1].append(f"{event} {arguments[:1]}")


sys.addaudithook(hook)  # permanent: Python can't remove audit hooks


@contextmanager
def watched():
    """The blocking operations of this thread, except those on sockets."""
    seen = []
    watching.append((threading.get_ident(), seen))
    try:
        yield seen
    finally:
        watching.pop()


CHAT = {"messages": [{"role": "user", "content": "hi"}]}
PICTURE = {"type": "image_url", "image_url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}
REQUESTS = [
    ("GET", "/v1/models", None),
    ("GET", "/readyz", None),
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/chat/completions", CHAT | {"stream": True}),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": [PICTURE]}]}),
    ("POST", "/v1/responses", {"model": "openclaw", "input": "hi"}),
    ("POST", "/v1/responses", {"model": "openclaw", "input": "hi", "stream": True}),
]


@pytest.mark.parametrize("sent", REQUESTS)
async def test_serving_a_request_makes_no_blocking_call(client, provider, tmp_path, sent):
    method, path, body = sent
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "SOUL.md").write_text("You help.")
    provider.says("Hello")
    with watched() as seen:
        async with client.request(method, path, json=body) as response:
            assert response.status == 200
            await response.read()
    assert seen == []
    assert not provider.asked or provider.asked[0]["messages"][0]["content"].endswith("You help.")


def test_the_watch_detects_a_blocking_call(tmp_path):
    with watched() as seen:
        (tmp_path / "a").write_text("a")
        thread = threading.Thread(target=(tmp_path / "a").read_text)
        thread.start()
        thread.join()
    assert [line.partition(" ")[0] for line in seen] == ["open"]
