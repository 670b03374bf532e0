"""What each client is to do. Every scenario gets a client that is configured and was never started."""

import asyncio

from tests.clients.client import CAREFUL_MODEL, MAX_WAIT, WINDOW, Client, Scenario, interrupt, kill
from tests.clients.script import Break, Call, Fail, Hang, Say, Step

_LONG = f"The first answer: {','.join(str(number) for number in range(10_000, 30_000))}."
_FIRST = "the first question"
_SUMMARY = "The summary: somebody was curious."


def history_of(client: Client) -> str:
    """The conversation in the last request to the provider."""
    asked = client.script.asked[-1]
    return str(asked.get("messages") or asked.get("input"))


async def text(client: Client) -> None:
    client.script.steps = [(Say("Hello from the script."),)]
    assert "Hello from the script." in await client.run("say hello")


async def shell_loop(client: Client) -> None:
    commands = ["echo one > a.txt", "echo two >> a.txt", "cat a.txt"]
    client.script.steps = [*((client.shell(command),) for command in commands), (Say("Finished."),)]
    assert "Finished." in await client.run("count to two")
    assert (client.work / "a.txt").read_text(encoding="utf-8") == "one\ntwo\n"
    history = history_of(client)
    assert "one" in history.rpartition("cat a.txt")[2]
    assert len(client.script.asked) == 4


async def edit(client: Client) -> None:
    (client.work / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    client.script.steps = [*client.edit("a.txt", "two", "three"), (Say("Edited."),)]
    assert "Edited." in await client.run("edit a.txt")
    assert (client.work / "a.txt").read_text(encoding="utf-8") == "one\nthree\n"


async def parallel(client: Client) -> None:
    calls = tuple(client.shell(f"echo {name} > {name}.txt") for name in ("a", "b", "c"))
    client.script.steps = [calls, (Say("All three."),)]
    assert "All three." in await client.run("write three files")
    assert [(client.work / f"{name}.txt").read_text(encoding="utf-8") for name in "abc"] == ["a\n", "b\n", "c\n"]
    assert len(client.script.asked) == 2


async def resume(client: Client) -> None:
    client.script.steps = [(client.shell("echo 4711"),), (Say("The number is 4711."),)]
    await client.run("what is the number?")
    client.script.steps = [(Say("As I returned: 4711."),)]
    assert "As I returned: 4711." in await client.run("and again?", resume=True)
    assert "The number is 4711." in history_of(client)


async def own_tool_server(client: Client) -> None:
    client.script.steps = [*client.add_tool_server(), (Say("It is noon."),)]
    assert "It is noon." in await client.run("what time is it in Oslo?")
    assert "noon in Oslo" in history_of(client)


async def tool_server_of_the_agent(client: Client) -> None:
    cities = ("Oslo", "Bergen", "Hamar")
    client.script.steps = [*((Call("time_of", {"city": city}),) for city in cities), (Say("It is noon everywhere."),)]
    assert "It is noon everywhere." in await client.run("what time is it in Norway?", model=CAREFUL_MODEL)
    assert all(f"noon in {city}" in history_of(client) for city in cities)


async def compaction(client: Client) -> None:
    client.limit_window()
    rounds: list[Step] = [(Say(_LONG), client.shell("echo one"))]
    if not client.counts_tokens:
        rounds.append((Say("And further.", tokens=WINDOW - 1000), client.shell("echo two")))
    last = (Say("The last answer."),)  # Continue asks twice for it: after a compaction it says "continue"
    client.script.steps = [*rounds, (Say(_SUMMARY, tokens=WINDOW),), last, last]
    assert "The last answer." in await client.run(_FIRST)
    history = history_of(client)
    assert _SUMMARY in history
    assert _FIRST not in history or _LONG not in history


async def fallback(client: Client) -> None:
    client.script.steps = [(Fail(),), (Say("From the fallback."),)]
    assert "From the fallback." in await client.run("say hello", model=CAREFUL_MODEL)


async def rescue(client: Client) -> None:
    client.script.steps = [(Break("The answer goes"),), (Say("The answer goes on to its end."),)]
    assert "goes on to its end." in await client.run("talk to me", model=CAREFUL_MODEL)


async def cancel(client: Client) -> None:
    client.script.steps = [(Hang("It goes on and on"),)]
    process = await client.start(*client.line("talk to me"))
    end = asyncio.ensure_future(process.communicate())
    try:
        async with asyncio.timeout(MAX_WAIT):
            await client.script.wait_until(lambda: client.script.hanging > 0)
            interrupt(process)
            await client.script.wait_until(lambda: client.script.aborted > 0)
            await end
    except TimeoutError:
        raise AssertionError("the provider's answer was not aborted") from None
    finally:
        kill(process)
        await end


SCENARIOS: tuple[Scenario, ...] = (
    text,
    shell_loop,
    edit,
    parallel,
    resume,
    own_tool_server,
    tool_server_of_the_agent,
    compaction,
    fallback,
    rescue,
    cancel,
)
