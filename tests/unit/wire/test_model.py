from gateway.wire.model import DEFAULT, Compat


def test_what_is_said_lies_over_what_was_known():
    known = Compat(tools=False, max_tokens_field="max_completion_tokens")
    assert known.merged({"developer_role": True, "tools": None, "tool_choice": False}) == Compat(
        tools=False, max_tokens_field="max_completion_tokens", developer_role=True, tool_choice=False
    )


def test_quirks_of_later_versions_are_passed_over():
    assert DEFAULT.merged({"telepathy": True}) == DEFAULT


def test_the_default_is_what_every_server_understands():
    assert (DEFAULT.developer_role, DEFAULT.accepts_prefill, DEFAULT.embedding_base64) == (False, False, False)
    assert DEFAULT.max_tokens_field == "max_tokens"
