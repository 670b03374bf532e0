import json
import math
import signal
import stat
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from tests.e2e.process import serving, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

HI = [{"role": "user", "content": "Say hello."}]
CHOSEN = {"x-openclaw-model": "local/smollm2-135m"}


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    """The state directory of a gateway that was never configured."""
    return tmp_path_factory.mktemp("state")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(state):
    """A gateway on its first run."""
    async with serving(state, None) as ready:
        await ready.process.wait_for_output("Try it")
        yield ready
        ready.process.signal(signal.SIGINT)  # no proxy needs the notice


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(gateway):
    """OpenAI's client with the key that the first run printed."""
    (key,) = [line.split()[-1] for line in gateway.process.output.splitlines() if "API key" in line]
    http = openai.DefaultAsyncHttpxClient(trust_env=False, timeout=60)
    base = f"{gateway.url}/v1"
    async with openai.AsyncOpenAI(api_key=key, base_url=base, max_retries=0, http_client=http) as ready:
        yield ready


@pytest.fixture
def config_file(tmp_path) -> str:
    """A configuration whose agent answers briefly."""
    config = {"agents": {"defaults": {"model": "local/smollm2-135m", "params": {"maxTokens": 16}}}}
    file = tmp_path / "brief.json5"
    file.write_text(json.dumps(config), encoding="utf-8")
    return str(file)


def likeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_the_first_run_writes_a_file_for_its_owner_alone_and_answers(official, state):
    file = state / "openclaw.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    answer = await official.chat.completions.create(model="openclaw", messages=HI, max_tokens=8)
    assert answer.choices[0].message.content
    assert [model.id async for model in official.models.list()] == ["openclaw", "openclaw/default", "openclaw/main"]


async def test_the_key_that_is_shown_is_the_one_in_the_file_and_not_in_the_log(gateway, official, state):
    assert f'"{official.api_key}"' in (state / "openclaw.json").read_text(encoding="utf-8")
    assert official.api_key not in gateway.process.errors


async def test_chat_counts_its_tokens_and_keeps_to_the_cap(official):
    answer = await official.chat.completions.create(
        model="openclaw", messages=HI, max_tokens=5, temperature=0, seed=7, extra_headers=CHOSEN
    )
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert 1 <= answer.usage.completion_tokens <= 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_a_stream_brings_the_same_text_in_pieces(official):
    asked = {"model": "openclaw", "messages": HI, "max_tokens": 12, "temperature": 0, "extra_headers": CHOSEN}
    whole = await official.chat.completions.create(**asked)
    stream = await official.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 1
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_tools_are_refused_because_the_model_supports_none(official):
    tool = {"type": "function", "function": {"name": "get_weather"}}
    with pytest.raises(openai.BadRequestError) as refused:
        await official.chat.completions.create(model="openclaw", messages=HI, tools=[tool], extra_headers=CHOSEN)
    assert (refused.value.code, refused.value.param) == ("tools_unsupported", "tools")


@pytest.mark.parametrize("model", ["local/another", "local/multilingual-e5-small", "another"])
async def test_a_model_that_the_embedded_provider_does_not_have_is_a_404(official, model):
    with pytest.raises(openai.NotFoundError) as refused:
        await official.chat.completions.create(model="openclaw", messages=HI, extra_headers={"x-openclaw-model": model})
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as refused:
        await official.embeddings.create(
            model="openclaw", input="a", extra_headers={"x-openclaw-model": "local/smollm2-135m"}
        )
    assert refused.value.code == "model_not_found"


async def test_embeddings_have_length_1_and_similar_texts_are_closer(official):
    texts = ["a cat on the sofa", "a kitten on the couch", "quarterly tax report"]
    answer = await official.embeddings.create(model="openclaw", input=texts)
    vectors = [item.embedding for item in answer.data]
    assert [len(vector) for vector in vectors] == [384] * 3
    assert all(math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-3) for vector in vectors)
    assert likeness(vectors[0], vectors[1]) > likeness(vectors[0], vectors[2])
    assert answer.usage.prompt_tokens > 3


async def test_embeddings_can_be_shortened(official):
    answer = await official.embeddings.create(model="openclaw", input="a cat", dimensions=32)
    assert len(answer.data[0].embedding) == 32


async def test_the_command_agent_prints_an_answer(config_file, tmp_path):
    async with started("agent", "--config", config_file, "--message", "Say hello.", state=tmp_path) as process:
        assert await process.ended() == 0
    assert process.output.strip()
    assert process.errors == ""


async def test_the_command_agent_reports_an_unknown_agent(config_file, tmp_path):
    arguments = ("agent", "--config", config_file, "--message", "hi", "--agent", "nobody")
    async with started(*arguments, state=tmp_path) as process:
        assert await process.ended() == 1
    assert "Unknown agent 'nobody'" in process.errors
    assert "Traceback" not in process.errors


async def test_an_interrupt_cancels_the_command_agent_in_the_middle_of_its_answer(tmp_path):
    story = "Write a very long story about a lobster, with many chapters."
    # At temperature 0 the story is always the same long one; else the model is sometimes done before it is interrupted.
    config = {"agents": {"defaults": {"model": "local/smollm2-135m", "params": {"temperature": 0}}}}
    file = tmp_path / "talkative.json5"
    file.write_text(json.dumps(config), encoding="utf-8")
    async with started("agent", "--config", str(file), "--message", story, state=tmp_path) as process:
        await process.wrote()
        process.signal(signal.SIGINT)
        assert await process.ended() == 130
    assert "Traceback" not in process.errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_lets_the_model_finish_its_answer(tmp_path, config_file, number):
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    endpoints = {"chatCompletions": {"enabled": True}}
    config["gateway"] = {"auth": {"mode": "none"}, "http": {"endpoints": endpoints}}
    async with (
        serving(tmp_path, config) as gateway,
        openai.AsyncOpenAI(api_key="none", base_url=f"{gateway.url}/v1", max_retries=0) as client,
    ):
        asked = {"model": "openclaw", "messages": HI, "max_tokens": 60, "stream": True}
        stream = await client.chat.completions.create(**asked, extra_body={"temperature": 0})
        chunks = [await anext(stream)]
        gateway.process.signal_group(number)
        chunks += [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason in ("length", "stop")
        assert await gateway.process.ended() == 0
