"""What the parent of workers and a worker send each other."""

import os

import pytest

from gateway.cli import messages

MESSAGES = [
    (messages.TERMINATE, None),
    (messages.PREPARE, {"a": "configuration"}),
    (messages.COMMIT, None),
    (messages.STATUS, "x" * 100_000),
    (messages.INTERRUPT, None),
]
SENT = b"".join(kind if value is None else messages.message(kind, value) for kind, value in MESSAGES)


@pytest.mark.parametrize("size", [1, 7, 4096, len(SENT)])
def test_messages_arrive_whole_however_they_are_cut(size):
    received = messages.Messages()
    pieces = [SENT[start : start + size] for start in range(0, len(SENT), size)]
    assert [one for piece in pieces for one in received.feed(piece)] == MESSAGES


def test_the_first_message_is_read_and_the_next_ones_stay_in_the_pipe():
    reading, writing = os.pipe()
    os.write(writing, messages.message(messages.PREPARE, "first") + messages.TERMINATE)
    assert messages.read_first(reading) == "first"
    assert os.read(reading, 10) == messages.TERMINATE
    os.close(writing)
    with pytest.raises(EOFError):
        messages.read_first(reading)
    os.close(reading)


def test_a_worker_that_is_stopped_before_it_has_a_configuration_ends():
    reading, writing = os.pipe()
    os.write(writing, messages.INTERRUPT)
    with pytest.raises(EOFError, match="the parent stops this worker"):
        messages.read_first(reading)
    os.close(writing)
    os.close(reading)


def test_problems_survive_as_one_line():
    line = messages.refused(("two\nlines", "ü"))
    assert line.count(b"\n") == 1
    assert messages.refusal(line) == ("two\nlines", "ü")
    assert messages.refusal(messages.DONE) is None
