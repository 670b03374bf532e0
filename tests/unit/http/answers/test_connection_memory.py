import pytest

from gateway.core.message import Message, Text
from gateway.http.answers.connection_memory import ConnectionMemories
from gateway.state.responses.store import StoredResponse


class Stored:
    """A store with one response."""

    def __init__(self):
        self.response = response("stored")
        self.deleted = []

    async def get(self, subject, response_id, _hold=None):
        return self.response if (subject, response_id) == (None, "stored") else None

    async def delete(self, subject, response_id):
        self.deleted.append((subject, response_id))
        return True


def response(name, text="", subject=None):
    return StoredResponse(
        name, subject, "main", 0.0, b'{"status":"completed"}', b"[]", (Message("user", (Text(text),)),)
    )


@pytest.fixture
def stored():
    return Stored()


async def test_a_response_is_found_by_its_owner_only(stored):
    with ConnectionMemories().connected(stored) as memory:
        assert await memory.put(response("own", subject="ann"))
        assert (await memory.get("ann", "own")).id == "own"
        assert await memory.get("bob", "own") is None
        assert (await memory.get(None, "stored")).id == "stored"


async def test_a_deleted_response_is_gone_and_a_stored_one_is_deleted_in_its_store(stored):
    with ConnectionMemories().connected(stored) as memory:
        await memory.put(response("own"))
        assert await memory.delete(None, "own")
        assert await memory.get(None, "own") is None
        assert await memory.delete(None, "stored")
        assert stored.deleted == [(None, "stored")]
        assert memory.size == 0


async def test_a_response_is_replaced_only_if_it_exists(stored):
    with ConnectionMemories().connected(stored) as memory:
        await memory.put(response("own"), new=False)
        assert await memory.get(None, "own") is None
        await memory.put(response("own", "a"))
        size = memory.size
        await memory.put(response("own", "b"), new=False)
        assert (await memory.get(None, "own")).messages[0].parts[0].text == "b"
        assert memory.size == size


async def test_a_memory_forgets_its_oldest_responses_beyond_its_share(stored):
    with ConnectionMemories(share=2500).connected(stored) as memory:
        for name in "abc":
            await memory.put(response(name, "x" * 1000))
        assert await memory.get(None, "a") is None
        assert (await memory.get(None, "b")).id == "b"
        await memory.put(response("large", "x" * 3000))
        assert await memory.get(None, "large") is None
        assert memory.size == 0


async def test_without_room_the_largest_memory_loses_its_oldest_response(stored):
    memories = ConnectionMemories(total=4000)
    with memories.connected(stored) as large, memories.connected(stored) as small:
        for name in "abc":
            await large.put(response(name, "x" * 1000))
        await small.put(response("own", "x" * 1000))
        assert await large.get(None, "a") is None
        assert (await small.get(None, "own")).id == "own"
    with memories.connected(stored) as fresh:
        for name in "abc":
            await fresh.put(response(name, "x" * 1000))
        assert (await fresh.get(None, "a")).id == "a"
