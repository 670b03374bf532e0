import pytest

from gateway.core.errors import BadRequest
from gateway.core.message import File, Image, Message, Text
from gateway.core.turn import Turn
from gateway.media.url_parts import check_url_parts

REMOTE = (Image("https://x.test/a.png"), File(None, None, None, "https://x.test/a.txt"))
LOCAL = (Text("x"), Image("data:image/png;base64,AA=="), File("a.txt", "text/plain", "eA=="))


def turn(*messages):
    return Turn("openclaw", tuple(Message("user", parts) for parts in messages))


def test_as_many_urls_as_the_limit_are_let_in():
    check_url_parts(turn(REMOTE, LOCAL), 2)


def test_parts_that_hold_their_bytes_do_not_count():
    check_url_parts(turn(LOCAL, LOCAL), 0)


def test_urls_of_the_whole_conversation_count():
    with pytest.raises(BadRequest, match="4 images and files are URLs; at most 3 may be"):
        check_url_parts(turn(REMOTE, LOCAL, REMOTE), 3)
