"""`POST /v1/embeddings`: what RAG clients send by default."""

import io
import json

import pytest
from aiohttp import web

PATH = "/v1/embeddings"


@pytest.fixture
def compat():
    return {}


@pytest.fixture
def config(config, compat):
    config["memory"] = {"search": {"provider": "fake", "model": "vectors"}}
    config["models"]["providers"]["fake"]["models"].append({"id": "vectors", "compat": compat})
    return config


@pytest.fixture
def embeds(provider):
    """The provider embeds each input as its length, in the order of its own; `fails` are the calls that fail."""
    fails = []

    async def answer(_request):
        number = len(provider.asked)
        inputs = provider.asked[-1]["input"]
        if number in fails:
            return web.json_response({"error": {"message": "oh"}}, status=500)
        data = [{"index": index, "embedding": [len(one)]} for index, one in enumerate(inputs)]
        return web.json_response(
            {"data": data[::-1], "usage": {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}}
        )

    provider.answer = answer
    return fails


async def embed(client, given, **fields):
    body = io.BytesIO(json.dumps({"model": "openclaw", "input": given, **fields}).encode())
    response = await client.post(PATH, data=body, headers={"Content-Type": "application/json"})
    return response.status, await response.json()


@pytest.mark.usefixtures("embeds")
async def test_a_batch_of_llamaindex_and_a_list_of_openais_length_are_answered(client, provider):
    status, answer = await embed(client, ["x" * 4000] * 100)
    assert (status, len(answer["data"]), len(provider.asked)) == (200, 100, 1)
    status, answer = await embed(client, ["x"] * 2048)
    assert (status, len(answer["data"]), len(provider.asked)) == (200, 2048, 2)
    assert answer["usage"] == {"prompt_tokens": 2048, "total_tokens": 2048}


@pytest.mark.usefixtures("embeds")
async def test_texts_of_more_tokens_than_one_request_takes_are_split(client, provider):
    status, answer = await embed(client, ["x" * 150_000] * 13 + ["y"])
    assert status == 200
    assert [len(asked["input"]) for asked in provider.asked] == [6, 6, 2]
    assert [one["embedding"] for one in answer["data"]] == [[150_000]] * 13 + [[1]]


class TestSmallBatches:
    @pytest.fixture
    def compat(self):
        return {"embeddingBatchSize": 3}

    @pytest.mark.usefixtures("embeds")
    async def test_a_longer_list_is_split_and_put_together_in_order(self, client, provider):
        texts = ["x" * length for length in range(1, 9)]
        status, answer = await embed(client, texts)
        assert status == 200
        assert [asked["input"] for asked in provider.asked] == [texts[:3], texts[3:6], texts[6:]]
        assert [(one["index"], one["embedding"]) for one in answer["data"]] == [(n, [n + 1]) for n in range(8)]
        assert answer["usage"] == {"prompt_tokens": 8, "total_tokens": 8}


class TestRetries(TestSmallBatches):
    @pytest.fixture
    def config(self, config):
        config["gateway"]["retry"] = {"backoffMs": 1}
        return config

    async def test_a_retry_goes_on_with_the_batch_that_failed(self, client, provider, embeds):
        embeds.append(2)
        status, answer = await embed(client, ["a", "bb", "ccc", "dddd"])
        assert (status, len(answer["data"])) == (200, 4)
        assert [len(asked["input"]) for asked in provider.asked] == [3, 1, 1]


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]]])
async def test_token_ids_are_a_400_that_says_what_to_switch_off(client, provider, given):
    status, answer = await embed(client, given)
    assert (status, answer["error"]["param"], answer["error"]["code"]) == (400, "input", "tokens_unsupported")
    assert "check_embedding_ctx_length=False" in answer["error"]["message"]
    assert provider.asked == []


class TestTokens:
    @pytest.fixture
    def compat(self):
        return {"supportsEmbeddingTokens": True}

    @pytest.mark.parametrize(("given", "sent"), [([1, 2, 3], [[1, 2, 3]]), ([[1, 2], [3]], [[1, 2], [3]])])
    @pytest.mark.usefixtures("embeds")
    async def test_token_ids_reach_a_provider_that_takes_them(self, client, provider, given, sent):
        status, answer = await embed(client, given)
        assert (status, provider.asked[0]["input"]) == (200, sent)
        assert len(answer["data"]) == len(sent)


class TestOpenAI:
    @pytest.fixture
    def config(self, config):
        config["models"]["providers"]["fake"]["api"] = "openai-responses"
        return config

    @pytest.mark.usefixtures("embeds")
    async def test_token_ids_reach_openai(self, client):
        assert (await embed(client, [[1, 2], [3]]))[0] == 200


class TestEveryOtherFormat:
    @pytest.fixture(params=["bedrock-converse-stream", "google-generative-ai", "ollama"])
    def config(self, config, request):
        config["models"]["providers"]["fake"]["api"] = request.param
        return config

    @pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]]])
    async def test_token_ids_are_a_400_that_says_what_to_switch_off(self, client, provider, given):
        status, answer = await embed(client, given)
        assert (status, answer["error"]["param"], answer["error"]["code"]) == (400, "input", "tokens_unsupported")
        assert "check_embedding_ctx_length=False" in answer["error"]["message"]
        assert provider.asked == []


class TestOllama:
    @pytest.fixture
    def config(self, config):
        row = config["models"]["providers"]["fake"]
        row |= {"api": "ollama", "baseUrl": f"{row['baseUrl']}/ollama"}
        return config

    async def test_a_list_of_openais_length_is_answered_in_order(self, client, provider):
        async def answer(_request):
            vectors = [[len(text)] for text in provider.asked[-1]["input"]]
            return web.json_response({"embeddings": vectors, "prompt_eval_count": 1})

        provider.answer = answer
        status, made = await embed(client, ["x" * (1 + number % 7) for number in range(2048)])
        assert status == 200, json.dumps(made)[:500]
        assert [one["embedding"] for one in made["data"]] == [[1 + number % 7] for number in range(2048)]


@pytest.mark.usefixtures("embeds")
async def test_openais_client_gets_floats_although_it_requests_base64(official, provider):
    """It does so unless its user names an encoding, and so does all that is built on it, such as LangChain."""
    made = await official.embeddings.create(model="openclaw", input=["a", "bb"])
    assert [one.embedding for one in made.data] == [[1.0], [2.0]]
    assert provider.asked[0]["input"] == ["a", "bb"]


async def test_a_list_of_texts_and_token_ids_is_a_400_that_names_the_entry(client, provider):
    status, answer = await embed(client, ["a", [1, 2]])
    assert (status, provider.asked) == (400, [])
    assert answer["error"]["param"] == "input"


class TestLimits:
    @pytest.fixture
    def config(self, config):
        limits = {"maxInputs": 2, "maxInputChars": 5, "maxTotalChars": 8}
        config["gateway"]["http"]["endpoints"]["embeddings"] = limits
        return config

    @pytest.mark.parametrize(
        ("given", "key"),
        [(["a"] * 3, "maxInputs"), ("a" * 6, "maxInputChars"), (["a" * 5, "b" * 4], "maxTotalChars")],
    )
    async def test_a_limit_is_a_400_that_names_its_key(self, client, given, key):
        status, answer = await embed(client, given)
        assert status == 400
        assert f"gateway.http.endpoints.embeddings.{key}" in answer["error"]["message"]


class TestGoogle:
    @pytest.fixture
    def config(self, config):
        config["models"]["providers"]["fake"]["api"] = "google-generative-ai"
        return config

    async def test_more_texts_than_google_takes_are_split(self, client, provider):
        async def answer(_request):
            count = len(provider.asked[-1]["requests"])
            return web.json_response({"embeddings": [{"values": [1]}] * count})

        provider.answer = answer
        status, made = await embed(client, ["x"] * 250)
        assert (status, len(made["data"])) == (200, 250), json.dumps(made)[:500]
        assert [len(asked["requests"]) for asked in provider.asked] == [100, 100, 50]


class TestBedrock:
    @pytest.fixture
    def config(self, config):
        config["models"]["providers"]["fake"]["api"] = "bedrock-converse-stream"
        return config

    async def test_a_model_that_takes_one_text_is_asked_for_each(self, client, provider):
        async def answer(_request):
            return web.json_response({"embedding": [len(provider.asked)], "inputTextTokenCount": 2})

        provider.answer = answer
        status, made = await embed(client, ["a", "b"])
        assert (status, [one["embedding"] for one in made["data"]]) == (200, [[1], [2]]), json.dumps(made)
        assert provider.asked == [{"inputText": "a"}, {"inputText": "b"}]
        assert made["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


@pytest.mark.usefixtures("embeds")
async def test_the_names_that_clients_of_claude_accept_mean_agents_here_too(client, provider):
    for model in ("claude-openclaw", "claude-openclaw-main"):
        status, answer = await embed(client, "hi", model=model)
        assert (status, answer["model"], provider.asked[-1]["model"]) == (200, model, "vectors")


class TestFieldsOfTheClient:
    @pytest.fixture(params=[{}, {"supportsUnknownFields": False}], ids=["tolerant", "strict"])
    def compat(self, request):
        return request.param

    @pytest.mark.usefixtures("embeds")
    async def test_reach_a_provider_of_the_same_format_that_tolerates_them(self, client, provider, compat):
        status, _ = await embed(client, "hi", input_type="query", truncate=None, user="ann")
        sent = {} if compat else {"input_type": "query"}
        assert (status, provider.asked) == (200, [{"model": "vectors", "input": ["hi"], **sent}])
