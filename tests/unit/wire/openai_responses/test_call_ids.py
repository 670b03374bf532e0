import pytest

from gateway.core.errors import BadRequest
from gateway.core.message import Foreign, Message, Text, ToolCall, ToolResult
from gateway.wire.openai_responses import ITEM, WIRE
from gateway.wire.openai_responses.call_ids import check_results

CALL = Message("assistant", (ToolCall("call_1", "f", "{}"),))
OF_PROVIDER = Message("assistant", (Foreign(WIRE, {ITEM: {"type": "computer_call", "call_id": "call_1"}}),))
RESULT = Message("tool", (ToolResult("call_1", (Text("5C"),)),))


@pytest.mark.parametrize(
    ("earlier", "new"), [((CALL,), (RESULT,)), ((OF_PROVIDER,), (RESULT,)), ((), (CALL, RESULT)), ((), ())]
)
def test_a_result_may_belong_to_an_earlier_or_a_new_call(earlier, new):
    check_results(earlier, new)


def test_a_result_without_a_call_is_refused():
    with pytest.raises(BadRequest) as caught:
        check_results((Message("user", (Text("hi"),)),), (RESULT,))
    assert "call_1" in caught.value.message
