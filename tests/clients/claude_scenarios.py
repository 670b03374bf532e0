"""What only Claude Code is asked to do: its sub-agents, and failures, which must end as those of its maker's API.

It repeats a request as often, and waits as long, as it does by default: minutes for a provider that stays overloaded.
"""

import dataclasses
import re

from tests.clients.client import Client
from tests.clients.script import Call, Fail, Say, Step, messages_of

_ROUNDS = 100
_MAX_REQUESTS = 40  # more than the client sends
# What differs between two runs (an estimate depends on the length of paths), and what the gateway adds: which provider
# has failed, and its own status for a broken one.
_VARYING = re.compile(r"only ~\d+ tokens|req_\w+|127\.0\.0\.1:\d+|The provider 'scripted' \(\S+\) failed: ")
_BROKEN = re.compile(r"\b50[02]\b")


async def sub_agent(client: Client) -> None:
    task: dict[str, object] = {
        "description": "Look it up",
        "prompt": "find the number",
        "subagent_type": "general-purpose",
    }
    task["run_in_background"] = False
    client.script.steps = [
        (Call("Agent", task),),
        (client.shell("echo 4711"),),
        (Say("The sub-agent found 4711."),),
        (Say("The number is 4711."),),
    ]
    assert "The number is 4711." in await client.run("ask a sub-agent for the number")
    assert len(client.script.asked) == 4
    assert "The sub-agent found 4711." in str(client.script.asked[-1])


async def long_history(client: Client) -> None:
    rounds: list[Step] = [(client.shell(f"echo line {number}"),) for number in range(_ROUNDS)]
    client.script.steps = [*rounds, (Say("All lines are written."),)]
    assert "All lines are written." in await client.run("write many lines")
    last = client.script.asked[-1]
    history = last.get("messages") or last["input"]
    assert len(history) >= 2 * _ROUNDS
    assert all(f"line {number}" in str(history) for number in range(_ROUNDS))


async def rate_limited(client: Client) -> None:
    client.script.steps = [(Fail("rate_limited", {"retry-after": "1"}),), (Say("After the limit."),)]
    assert "After the limit." in await client.run("say hello")
    assert len(client.script.asked) == 2


async def overloaded(client: Client) -> None:
    client.script.steps = [(Fail("overloaded"),), (Say("After the rush."),)]
    assert "After the rush." in await client.run("say hello")
    assert len(client.script.asked) == 2


async def rate_limited_to_the_end(client: Client) -> str:
    return await _end(client, Fail("rate_limited", {"retry-after": "1"}))


async def overloaded_to_the_end(client: Client) -> str:
    return await _end(client, Fail("overloaded"))


async def broken_to_the_end(client: Client) -> str:
    return await _end(client, Fail("broken"))


async def prompt_too_long(client: Client) -> str:
    return await _end(client, Fail("too_long"))


async def wrong_key(client: Client) -> str:
    wrong = dataclasses.replace(client, token="wrong")
    status, text = await wrong.end_of(*wrong.line("say hello"))
    assert not client.script.asked
    return f"{status}: {re.sub(r'(?<= API Error: 401 ).*', '', _same(text))}"


async def _end(client: Client, failure: Fail) -> str:
    """How the client ends if every request fails, and the number of its requests."""
    client.script.steps = [(failure,) for _ in range(_MAX_REQUESTS)]
    status, text = await client.end_of(*client.line("say hello"))
    assert status != 0, text
    for message in messages_of(failure):
        text = text.replace(message.rstrip("."), "<the provider's message>")
    return f"{status} after {len(client.script.asked)} requests: {_same(text)}"


def _same(text: str) -> str:
    return _BROKEN.sub("50x", _VARYING.sub("", text))


SCENARIOS = (
    sub_agent,
    long_history,
    rate_limited,
    overloaded,
    rate_limited_to_the_end,
    overloaded_to_the_end,
    broken_to_the_end,
    prompt_too_long,
    wrong_key,
)
