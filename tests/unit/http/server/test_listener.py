import socket
import sys

import pytest

from gateway.http.server.listener import listen, stop_accepting


@pytest.fixture
def listening():
    with listen("127.0.0.1", 0) as made:
        yield made


def connected(listening: socket.socket) -> socket.socket:
    return socket.create_connection(listening.getsockname(), timeout=0.2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such filter")
def test_new_connections_are_ignored_and_queued_ones_accepted(listening):
    with connected(listening) as waiting:
        waiting.sendall(b"asked before")
        assert stop_accepting(listening)
        waiting.sendall(b" and after")
        with pytest.raises(TimeoutError):
            connected(listening)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(100).startswith(b"asked before")
            accepted.sendall(b"answer")
            assert waiting.recv(100) == b"answer"


def test_two_sockets_can_listen_on_one_port_only_if_both_share_it():
    with listen("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        listen("127.0.0.1", port, shared=True).close()
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", port)
