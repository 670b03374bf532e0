"""Front ends that always send `user` and the whole history, such as LibreChat."""

import pytest

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
PATHS = pytest.mark.parametrize("path", [CHAT, RESPONSES])


def message(role, text):
    return {"role": role, "content": text}


async def ask(client, path, *messages, **more):
    field = "messages" if path == CHAT else "input"
    response = await client.post(path, json={"model": "openclaw", "user": "ann", field: list(messages), **more})
    assert response.status == 200, await response.text()


def seen(provider):
    return [(message["role"], message["content"]) for message in provider.asked[-1]["messages"]]


Q1, A1, Q2, A2 = message("user", "q1"), message("assistant", "a1"), message("user", "q2"), message("assistant", "a2")


@PATHS
async def test_an_edited_message_replaces_what_followed_it(client, provider, path):
    provider.says("a1")
    await ask(client, path, Q1)
    provider.says("a2")
    await ask(client, path, Q1, A1, Q2)
    edited = message("user", "q2 edited")
    await ask(client, path, Q1, A1, edited)
    assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q2 edited")]
    await ask(client, path, message("user", "q3"))  # what the gateway has stored is the edited conversation
    assert seen(provider) == [
        *(("user", "q1"), ("assistant", "a1"), ("user", "q2 edited"), ("assistant", "a2"), ("user", "q3")),
    ]


@PATHS
async def test_a_regenerated_answer_is_not_shown_to_the_model(client, provider, path):
    provider.says("a1")
    await ask(client, path, Q1)
    provider.says("a2")
    await ask(client, path, Q1, A1, Q2)
    await ask(client, path, Q1, A1, Q2)
    assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q2")]


@PATHS
async def test_the_second_message_of_another_chat_is_free_of_the_first_chat(client, provider, path):
    provider.says("a1")
    await ask(client, path, Q1)
    await ask(client, path, message("user", "x1"), message("assistant", "y1"), message("user", "x2"))
    assert seen(provider) == [("user", "x1"), ("assistant", "y1"), ("user", "x2")]


class TestWithoutConversationsOfUsers:
    @pytest.fixture
    def config(self, config):
        config["session"] = {"fromUser": False}
        return config

    @PATHS
    async def test_user_names_no_conversation(self, client, provider, path):
        provider.says("a1")
        await ask(client, path, Q1)
        await ask(client, path, Q2)
        assert seen(provider) == [("user", "q2")]
        assert (await (await client.get("/api/v1/sessions")).json())["data"] == []

    @PATHS
    async def test_a_session_key_still_does(self, client, provider, path):
        provider.says("a1")
        field = "messages" if path == CHAT else "input"
        for text in ("q1", "q2"):
            body = {"model": "openclaw", field: [message("user", text)]}
            await client.post(path, json=body, headers={"x-openclaw-session-key": "app:1"})
        assert seen(provider) == [("user", "q1"), ("assistant", "a1"), ("user", "q2")]
