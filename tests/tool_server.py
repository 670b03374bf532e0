"""A real tool server of ours, made with the SDK: `tool_server.py DIRECTORY [streamable-http|sse PORT]`, else stdio.

It writes into the directory what becomes of its calls, one file for each, so that a test can wait for it.
"""

import asyncio
import base64
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Image, MCPServer

server = MCPServer("tests")
notes = Path(sys.argv[1])

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)


def note(name: str, text: str = "") -> None:
    (notes / name).write_text(text, encoding="utf-8")


@server.tool(structured_output=False)
def weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 5C"


@server.tool(structured_output=False)
async def meet(name: str, others: int) -> str:
    """Comes back when that many others are here at the same time."""
    note(f"met-{name}")
    while len(list(notes.glob("met-*"))) < others:
        await asyncio.sleep(0.01)
    return f"met {name}"


@server.tool(structured_output=False)
async def hang() -> str:
    """Never comes back, and notes when it is cancelled."""
    note("hanging", str(os.getpid()))
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        note("cancelled")
        raise
    return ""


@server.tool(structured_output=False)
def fail(secret: str) -> str:
    """Fails."""
    raise ValueError(f"no such thing: {secret}")


@server.tool(structured_output=False)
def long(characters: int) -> str:
    """That many characters."""
    return "x" * characters


@server.tool(structured_output=False)
def picture() -> Any:
    """A picture with a word about it."""
    return ["one pixel", Image(data=PIXEL, format="png")]


@server.tool()
def numbers() -> dict[str, int]:
    """Structured content."""
    return {"one": 1}


@server.tool(structured_output=False)
def environment(name: str) -> str:
    """A variable of this process."""
    return os.environ.get(name, "(not set)")


@server.tool(structured_output=False)
def grow() -> str:
    """Offers one more tool from now on."""

    def grown() -> str:
        """New."""
        return "grown"

    server.add_tool(grown, structured_output=False)
    return "done"


if __name__ == "__main__":
    note(f"started-{os.getpid()}")
    if "LINGERS" in os.environ:  # it does not end with its input
        threading.Thread(target=time.sleep, args=(600,)).start()
    if len(sys.argv) > 2:
        server.run(sys.argv[2], port=int(sys.argv[3]))  # type: ignore[call-overload]
    else:
        server.run()
