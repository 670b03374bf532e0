from gateway.http.answers.socket_stream import payloads


def test_each_event_is_one_message_and_comments_are_none():
    frames = b': waiting\n\nevent: a\ndata: {"x":"\\ndata: y"}\n\nevent: b\ndata: {}\n\ndata: [DONE]\n\n'
    assert list(payloads(frames)) == [b'{"x":"\\ndata: y"}', b"{}"]


def test_no_frames_are_no_messages():
    assert list(payloads(b"")) == []
