"""The delays of failover with scaled limits; `bench/failover.py` measures them with the defaults."""

import asyncio
import json
import time

import pytest

from tests.fault.acts import closes, cuts, hangs, later, refuses, rejects_prefill, says, streams
from tests.fault.automaton import listen
from tests.fault.canonical import DONE, TEXT, TOKENS, chunk, ending, token_frames
from tests.fault.conftest import LIMIT, SLACK, STALL, TIMER_DELAY, TOTAL

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
WAYS = {
    "chat-streamed": (CHAT, True),
    "chat-whole": (CHAT, False),
    "responses-streamed": (RESPONSES, True),
    "responses-whole": (RESPONSES, False),
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
# One for each test, so that tests don't share cooldowns.
CHAINS = (
    "thinking",
    "poor",
    *(f"{name}-{way}" for name in ("silent", "late", "long", "brief", "hinted") for way in WAYS),
)
PREFILLS = ("starts-over", "repeats", "drops", "refuses")


@pytest.fixture(scope="module")
def agents():
    chains = {name: [f"fake/{name}-1", f"fake/{name}-2"] for name in (*CHAINS, *PREFILLS)}
    chains |= {name: [f"fake/{name}"] for name in ("alone", "noisy", "thinking-alone", "endless-alone")}
    return {name: {"model": {"primary": chain[0], "fallbacks": chain[1:]}} for name, chain in chains.items()}


@pytest.fixture(scope="module")
def providers(providers):
    prefilled = [{"id": f"{name}-1", "name": name, "compat": {"acceptsPrefill": True}} for name in PREFILLS]
    thinking = [{"id": name, "name": name, "reasoning": True} for name in ("thinking-1", "thinking-alone")]
    providers["fake"]["models"] = [*prefilled, *thinking]
    return providers


def body_of(path, agent, stream, prompt="hi"):
    asked = {"messages": [{"role": "user", "content": prompt}]} if path == CHAT else {"input": prompt, "store": False}
    return {"model": f"openclaw/{agent}", "stream": stream, **asked}


async def ask(client, agent, path=CHAT, stream=True, prompt="hi"):
    """Text or error of an answer, and the seconds that it took."""
    started = time.monotonic()
    async with client.post(path, json=body_of(path, agent, stream, prompt)) as response:
        raw = await response.read()
    took = time.monotonic() - started
    if response.status != 200 or not stream:
        payload = json.loads(raw)
        if response.status != 200:
            return payload["error"], took
        if path == CHAT:
            return payload["choices"][0]["message"]["content"], took
        return payload["output"][0]["content"][0]["text"], took
    if path == CHAT:
        heard = listen(raw)
        return heard.error or heard.text, took
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: {")]
    assert [one["type"] for one in events].count("response.completed") == 1, events[-1]
    return "".join(one["delta"] for one in events if one["type"] == "response.output_text.delta"), took


@EVERY_WAY
async def test_a_silent_model_costs_the_first_event_timeout(client, provider, way):
    first, _ = provider.model(f"silent-{way}-1", hangs), provider.model(f"silent-{way}-2", says())
    text, took = await ask(client, f"silent-{way}", *WAYS[way])
    assert text == TEXT
    assert took < LIMIT + TIMER_DELAY + SLACK
    assert len(first.calls) == 1


@EVERY_WAY
async def test_a_first_event_after_the_timeout_is_not_awaited(client, provider, way):
    provider.model(f"late-{way}-1", later(3 * LIMIT, says()))
    provider.model(f"late-{way}-2", says())
    text, took = await ask(client, f"late-{way}", *WAYS[way])
    assert text == TEXT
    assert took < LIMIT + TIMER_DELAY + SLACK


@EVERY_WAY
@pytest.mark.parametrize(("name", "silence"), [("long", LIMIT * 3), ("brief", STALL + 0.1)])
async def test_an_answer_that_stops_in_the_middle_is_finished_by_the_next_model(client, provider, way, name, silence):
    part = token_frames(TOKENS[:20])
    first = provider.model(f"{name}-{way}-1", streams(part, then=later(silence, closes), end=False))
    second = provider.model(f"{name}-{way}-2", says())
    text, took = await ask(client, f"{name}-{way}", *WAYS[way])
    assert text == TEXT
    assert took < LIMIT + TIMER_DELAY + SLACK
    assert (len(first.calls), len(second.calls)) == (1, 1)


@EVERY_WAY
async def test_a_long_retry_after_is_not_obeyed_while_another_model_can_answer(client, provider, way):
    first = provider.model(f"hinted-{way}-1", refuses(429, headers="Retry-After: 55\r\n"))
    provider.model(f"hinted-{way}-2", says())
    text, took = await ask(client, f"hinted-{way}", *WAYS[way])
    assert text == TEXT
    assert took < SLACK
    assert len(first.calls) == 1


@EVERY_WAY
@pytest.mark.parametrize("agent", ["thinking", "thinking-alone"])
async def test_a_model_that_sends_reasoning_has_more_time(client, provider, way, agent):
    name = "thinking-1" if agent == "thinking" else agent
    model = provider.model(name, later(2 * LIMIT, says()))
    provider.model("thinking-2", says())
    text, _ = await ask(client, agent, *WAYS[way])
    assert text == TEXT
    assert len(model.calls) == 1


async def test_a_reasoning_event_restarts_the_timeout(client, provider):
    thought = chunk({"reasoning_content": "hm"})
    model = provider.model("alone", streams([thought], then=later(2 * LIMIT, streams_rest), end=False))
    text, _ = await ask(client, "alone")
    assert text == TEXT
    assert len(model.calls) == 1


async def streams_rest(call):
    frames = b"".join([*token_frames(), *ending()])
    await call.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(frames), frames))


async def test_an_answer_without_an_end_is_reported_as_incomplete(client, provider):
    async def endless(call):
        await streams([], end=False)(call)
        while True:
            frame = chunk({"content": "word "})
            await call.send(b"%x\r\n%b\r\n" % (len(frame), frame))
            await asyncio.sleep(0.02)

    provider.model("endless-alone", endless)
    error, took = await ask(client, "endless-alone")
    assert error["type"] == "upstream_timeout"
    assert "did not complete its answer before the time limit of the whole run" in error["message"]
    assert "first event" not in error["message"]
    assert TOTAL <= took < TOTAL + TIMER_DELAY + SLACK


MISBEHAVIOURS = {
    "starts-over": streams([*token_frames(), *ending()]),
    "repeats": streams([*token_frames(TOKENS[18:]), *ending()]),
    "drops": streams([chunk({"content": "".join(TOKENS[20:])}), *ending()]),
    "refuses": rejects_prefill,
}


@pytest.mark.parametrize("name", PREFILLS)
async def test_a_model_that_does_not_continue_a_prefill_repeats_and_loses_nothing(client, provider, name):
    broken = streams(token_frames(TOKENS[:20]), then=cuts, end=False)

    async def reacts(call):
        prefilled = call.body["messages"][-1]["role"] == "assistant"
        await (MISBEHAVIOURS[name] if prefilled else says())(call)

    first, second = provider.model(f"{name}-1", broken, reacts), provider.model(f"{name}-2", says())
    text, _ = await ask(client, name)
    assert text == TEXT
    assert (len(first.calls), len(second.calls)) == ({"starts-over": 2}.get(name, 3), 0)
    assert first.calls[1].body["messages"][-1]["content"] == "".join(TOKENS[:19]).rstrip()


@pytest.mark.parametrize("name", PREFILLS)
async def test_after_a_rejected_prefill_the_next_model_is_asked(client, provider, name):
    broken = streams(token_frames(TOKENS[:20]), then=cuts, end=False)

    async def reacts(call):
        prefilled = call.body["messages"][-1]["role"] == "assistant"
        await (refuses(400, "no prefill") if prefilled else cuts)(call)

    first, second = provider.model(f"{name}-1", broken, reacts), provider.model(f"{name}-2", says())
    text, _ = await ask(client, name)
    assert text == TEXT
    assert (len(first.calls), len(second.calls)) == (3, 1)


async def test_a_different_answer_after_a_break_names_the_cause_of_the_break(client, provider):
    broken = streams(token_frames(TOKENS[:20]), then=cuts, end=False)
    provider.model("poor-1", broken)
    provider.model("poor-2", streams([*token_frames(("Other words.",)), DONE]))
    provider.models["poor-1"].acts[1:] = [refuses(500, "out of order")]
    error, _ = await ask(client, "poor")
    assert error["code"] == "answer_diverged"
    assert "broke off its answer" in error["message"]
    assert "(127.0.0.1:" in error["message"]


POISONS = {
    "500": refuses(500, "words for the noisy client"),
    "moderation": refuses(403, "words for the noisy client", metadata={"reasons": ["violence"]}),
    "402": refuses(402, "words for the noisy client"),
}


@pytest.mark.parametrize("name", POISONS)
async def test_one_clients_failing_prompt_fails_no_other_clients_request(client, provider, name):
    async def particular(call):
        poison = call.body["messages"][-1]["content"] == "poison"
        await (POISONS[name] if poison else later(0.01, says()))(call)

    async def noisy():
        while True:
            answer, _ = await ask(client, "noisy", stream=False, prompt="poison")
            assert "words for the noisy client" in answer["message"]

    async def healthy():
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            answers.append(await ask(client, "noisy", stream=False))

    provider.model("noisy", particular)
    answers = []
    looping = asyncio.create_task(noisy())
    await asyncio.gather(*(healthy() for _ in range(8)))
    looping.cancel()
    await asyncio.gather(looping, return_exceptions=True)
    assert [answer for answer, _ in answers if answer != TEXT] == []
    assert max(took for _, took in answers) < SLACK
    assert len(answers) > 50
