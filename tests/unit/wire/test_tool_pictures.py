from gateway.core.message import Image, Message, Text, ToolCall, ToolResult
from gateway.wire.tool_pictures import pictures_after_results

CALLS = Message("assistant", (ToolCall("a", "view", "{}"), ToolCall("b", "view", "{}")))
PICTURE, OTHER = Image("data:image/png;base64,AA=="), Image("data:image/png;base64,BB==")


def result(call_id, *content, is_array=False):
    return Message("tool", (ToolResult(call_id, content, is_array),))


def moved(*messages, reads_images=True):
    return list(pictures_after_results(messages, reads_images=reads_images))


def test_pictures_follow_after_all_results_of_their_round():
    question = Message("user", (Text("and?"),))
    assert moved(CALLS, result("a", Text("one"), PICTURE), result("b", OTHER), question) == [
        CALLS,
        result("a", Text("one\n[1 image(s): see below]")),
        result("b", Text("[1 image(s): see below]")),
        Message(
            "user",
            (
                Text("Image(s) that the tool call a returned:"),
                PICTURE,
                Text("Image(s) that the tool call b returned:"),
                OTHER,
            ),
        ),
        question,
    ]


def test_pictures_of_the_last_results_come_at_the_end():
    *_, last = moved(CALLS, result("a", PICTURE), result("b", Text("x")))
    assert last.parts == (Text("Image(s) that the tool call a returned:"), PICTURE)


def test_a_model_that_reads_no_images_gets_a_text_instead():
    assert moved(CALLS, result("a", PICTURE, OTHER), reads_images=False) == [
        CALLS,
        result("a", Text("[2 image(s): left out, the model reads none]")),
    ]


def test_results_without_pictures_and_a_clients_own_arrays_stay_as_they_are():
    messages = [CALLS, result("a", Text("x")), result("b", PICTURE, is_array=True)]
    assert all(one is other for one, other in zip(moved(*messages), messages, strict=True))
