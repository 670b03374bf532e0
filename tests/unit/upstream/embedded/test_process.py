import os

import pytest

from gateway.upstream.embedded.child import ChildSettings
from gateway.upstream.embedded.process import spawn

NO_MODEL = ChildSettings("m", "nowhere.gguf", 0, 1, 1, 64, "key")


async def test_a_failing_child_reports_the_reason():
    child = await spawn(NO_MODEL)
    try:
        assert not await child.serving()
        assert await child.ended() == (
            "exit status 1: RuntimeError: Failed to init server, please check the input params."
        )
    finally:
        await child.stop()


async def test_a_child_that_is_stopped_during_its_start_exits():
    child = await spawn(NO_MODEL)

    await child.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
