"""Merging stored and sent messages, for clients that send all, some or only new messages."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations.history import join
from gateway.core.message import Extras, Image, Message, Text, ToolCall, ToolResult


def user(text):
    return Message("user", (Text(text),))


def assistant(text, *calls):
    return Message("assistant", (*((Text(text),) if text else ()), *calls))


def result(call_id, text):
    return Message("tool", (ToolResult(call_id, (Text(text),)),))


SYSTEM = Message("system", (Text("Be brief."),))
U1, A1, U2, A2, U3 = user("one"), assistant("eins"), user("two"), assistant("zwei"), user("three")
CALL = ToolCall("c1", "f", '{"a": 1}')

# Few words, so that the same message comes again and again.
words = st.sampled_from(["yes", "no", "again", ""])
questions = st.lists(words.map(user), min_size=1, max_size=2)
turns = st.tuples(questions, words.filter(bool).map(assistant)).map(lambda turn: (*turn[0], turn[1]))
conversations = st.lists(turns, min_size=1, max_size=6).map(lambda all_of_them: sum(all_of_them, ()))


def test_a_first_message_has_no_history():
    assert join((), [SYSTEM, U1]).shown() == (SYSTEM, U1)
    assert join((), [SYSTEM, U1]).new == (U1,)


def test_history_follows_the_instructions_of_this_request_which_are_not_stored():
    joined = join((U1, A1), [SYSTEM, U2])
    assert joined.shown() == (SYSTEM, U1, A1, U2)
    assert joined.new == (U2,)


def test_instructions_in_the_middle_are_conversation():
    joined = join((U1, A1), [U2, SYSTEM, U3])
    assert joined.new == (U2, SYSTEM, U3)


@given(conversations, questions)
def test_a_client_that_sends_only_new_messages_loses_and_repeats_nothing(history, new):
    assert join(history, new).shown() == (*history, *new)
    assert join(history, new).new == tuple(new)


HIDDEN = (Message("assistant", (CALL,), hidden=True), Message("tool", (ToolResult("c1", (Text("x"),)),), hidden=True))


def test_hidden_messages_do_not_prevent_the_recognition_of_repeated_ones():
    history = (U1, *HIDDEN, A1, U2, *HIDDEN, A2)
    for sent in ([U3], [U1, A1, U2, A2, U3], [U2, A2, U3], [*history, U3]):
        assert join(history, sent).new == (U3,)


def test_hidden_messages_among_new_ones_are_stored():
    assert join((U1, A1), [U1, A1, U2, *HIDDEN, A2, U3]).new == (U2, *HIDDEN, A2, U3)


@given(conversations, questions)
def test_a_client_that_sends_everything_again_loses_and_repeats_nothing(history, new):
    joined = join(history, [SYSTEM, *history, *new])
    assert joined.shown() == (SYSTEM, *history, *new)
    assert joined.new == tuple(new)


@given(conversations, questions, st.data())
def test_a_client_that_remembers_only_the_end_is_recognised(history, new, data):
    cut = data.draw(st.integers(0, len(history) - 1))
    joined = join(history, [*history[cut:], *new])
    assert joined.shown()[: len(history)] == history
    # Of several interpretations, the one with the most repeated messages: in "yes, yes" both may be repeated.
    assert len(joined.shown()) <= len(history) + len(new)
    assert joined.shown()[-1] == new[-1]


@given(conversations, questions, st.data())
def test_a_client_that_remembers_more_than_is_stored_is_recognised(everything, new, data):
    cut = data.draw(st.integers(0, len(everything) - 1))
    stored = everything[cut:]
    joined = join(stored, [*everything, *new])
    assert joined.shown()[-len(new) :] == tuple(new)
    assert joined.new[-1] == new[-1]
    assert len(joined.shown()) <= len(everything) + len(new)


@given(st.lists(turns, max_size=8), st.data())
def test_over_a_whole_conversation_the_transcript_has_every_message_once(turns_sent, data):
    """A client that sends all messages in some requests and only new ones in others."""
    stored, truth = (), ()
    for *asked, answer in turns_sent:
        sends_all = data.draw(st.booleans())
        joined = join(stored, [*truth, *asked] if sends_all else asked)
        assert joined.shown() == (*truth, *asked)
        stored = (*stored, *joined.new, answer)
        truth = (*truth, *asked, answer)
        assert stored == truth


def test_a_question_that_is_asked_again_is_new():
    assert join((U1, A1), [U1]).shown() == (U1, A1, U1)
    assert join((U1, A1, U2, A2), [U1, A1, U2]).new == (U2,)


def test_a_history_that_differs_wins_over_the_stored_one_from_the_point_where_it_differs():
    joined = join((U1, *HIDDEN, A1, U2, A2), [SYSTEM, U1, A1, U3])
    assert joined.differs
    assert joined.shown() == (SYSTEM, U1, *HIDDEN, A1, U3)
    assert joined.new == (U3,)


def test_another_chat_under_the_same_name_is_not_mixed_with_the_stored_one():
    joined = join((U1, A1), [U2, A2, U3], [SYSTEM])
    assert joined.differs
    assert joined.shown() == joined.new == (U2, A2, U3)


@given(conversations, conversations, questions)
def test_a_history_of_the_clients_own_is_all_that_the_model_gets(stored, own, new):
    joined = join(stored, [*own, *new])
    if joined.differs:
        assert [message for message in joined.shown() if message not in stored] == [
            message for message in (*own, *new) if message not in stored
        ]
        assert joined.shown()[-len(own) - len(new) :] == (*own, *new)


def test_changes_of_form_in_repeated_messages_make_no_difference():
    history = (
        Message("user", (Text("look "), Text("here"), Image("data:image/png;base64,AAAA"))),
        Message("assistant", (Text(" fine\n"), CALL)),
        result("c1", "42"),
        assistant("It is 42."),
    )
    again = [
        Message("user", (Text("look here"), Image("https://example.com/a.png", "low")), "bob", content_is_array=True),
        Message("assistant", (Text("fine"), ToolCall("c1", "f", '{"a":1}')), None, Extras("w", {"audio": None})),
        result("c1", "42"),
        assistant("It is 42."),
        U1,
    ]
    assert join(history, again).new == (U1,)


def test_results_of_tools_continue_the_call():
    history = (U1, assistant(None, CALL))
    assert join(history, [result("c1", "42")]).shown() == (*history, result("c1", "42"))
    assert join(history, [*history, result("c1", "42")]).new == (result("c1", "42"),)


def test_a_call_that_was_never_answered_gets_a_result_so_that_the_conversation_can_go_on():
    second = ToolCall("c2", "g", "{}")
    history = (U1, assistant(None, CALL, second), result("c2", "7"))
    shown = join(history, [U2]).shown()
    assert shown == (*history, result("c1", "No result was given."), U2)
    assert join(shown[:-1], [U2]).shown() == shown
    later = (*history, U2, A2)
    assert join(later, [U3]).shown() == (*history, result("c1", "No result was given."), U2, A2, U3)


def test_a_result_whose_call_was_dropped_is_not_shown():
    assert join((result("c1", "42"), A1, U2, A2), [U3]).shown() == (A1, U2, A2, U3)
