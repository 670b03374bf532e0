"""A program with the OpenAI Agents SDK, as users write it. `openclaw.py` beside it is the documented configuration."""

import argparse
import asyncio
import subprocess

from agents import Agent, Runner, SQLiteSession, function_tool  # type: ignore[import-not-found]
from agents.mcp import MCPServerStdio  # type: ignore[import-not-found]
from openclaw import run_config  # type: ignore[import-not-found]


@function_tool  # type: ignore[untyped-decorator]
def shell(command: str) -> str:
    """Run a shell command."""
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout  # noqa: S602


async def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("prompt")
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--tool-server", nargs="+", default=[])
    options = arguments.parse_args()
    servers = []
    if options.tool_server:
        command, *others = options.tool_server
        servers.append(MCPServerStdio({"command": command, "args": others}))
        await servers[0].connect()
    agent = Agent("assistant", model=options.model, tools=[shell], mcp_servers=servers)
    session = SQLiteSession("one", "sessions.db")
    try:
        result = Runner.run_streamed(agent, options.prompt, run_config=run_config, session=session)
        async for _ in result.stream_events():
            pass
        print(result.final_output)  # noqa: T201  the program's output
    finally:
        for server in servers:
            await server.cleanup()


asyncio.run(main())
