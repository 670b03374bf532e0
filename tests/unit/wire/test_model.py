from gateway.wire.model import DEFAULT, Compat


def test_given_quirks_override_the_inherited_ones():
    known = Compat(tools=False, max_tokens_field="max_completion_tokens")
    assert known.merged({"developer_role": True, "tools": None, "tool_choice": False}) == Compat(
        tools=False, max_tokens_field="max_completion_tokens", developer_role=True, tool_choice=False
    )


def test_unknown_quirks_are_ignored():
    assert DEFAULT.merged({"telepathy": True}) == DEFAULT


def test_the_defaults_suit_every_server():
    assert (DEFAULT.developer_role, DEFAULT.accepts_prefill, DEFAULT.embedding_base64) == (False, False, False)
    assert DEFAULT.max_tokens_field == "max_tokens"
