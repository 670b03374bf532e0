import re

from gateway.core.ids import new_id


def test_an_id_is_its_prefix_and_a_uuid():
    assert re.fullmatch(r"chatcmpl_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", new_id("chatcmpl_"))


def test_ids_differ():
    assert len({new_id("x") for _ in range(1000)}) == 1000
