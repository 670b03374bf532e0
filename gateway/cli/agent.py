"""`openclaw-gateway agent`: one run of an agent, the same code path as HTTP, streamed to the terminal."""

import argparse
import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.agents.agent import Agent
from gateway.cli.event_loop import EventLoop
from gateway.cli.first_run import ensure_config
from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import Loaded
from gateway.config.secret_values import secret_values
from gateway.core.errors import GatewayError
from gateway.core.event import TextDelta
from gateway.core.identity import OWNER
from gateway.core.ids import new_id
from gateway.core.message import Message, Text
from gateway.core.printable import printable
from gateway.core.session_key import check_session_header
from gateway.core.turn import Turn
from gateway.dispatch.dispatch import Call, dispatch
from gateway.observe import log as logs
from gateway.observe.redact import hide_values
from gateway.provision import provisioned
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.run import RunOptions
from gateway.validation import validated

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`agent --message TEXT [--agent ID] [--session-key KEY] [--model REF]`; `-` as TEXT reads standard input."""
    parser = sub.add_parser("agent", help=COMMANDS["agent"], description=__doc__)
    config_option(parser)
    parser.add_argument("--agent", metavar="ID", help="agent to ask (default: the default agent)")
    parser.add_argument("--message", "-m", metavar="TEXT", required=True, help="the message; - reads standard input")
    parser.add_argument("--session-key", metavar="KEY", help="continue this conversation (default: none is stored)")
    parser.add_argument("--model", metavar="REF", help="answer with this model instead (provider/model)")


def run(args: argparse.Namespace) -> int:
    """Print the answer as it comes. 0 when it is complete, 1 when it failed, 130 when Ctrl-C cancelled it."""
    path = Path(args.config) if args.config else None
    ensure_config(path, os.environ)
    loaded = validated(path, os.environ).loaded
    logs.configure(stream_is_tty=sys.stderr.isatty(), level="warn")
    hide_values(secret_values(loaded.config))
    message = sys.stdin.read() if args.message == "-" else args.message
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(_ask(loaded, args, message))


async def _ask(loaded: Loaded, args: argparse.Namespace, message: str) -> int:
    turn = Turn(model="openclaw", messages=(Message("user", (Text(message),)),), stream=True)
    options = RunOptions(args.model, args.agent, "cli")

    async def read_turn(_agent: Agent) -> Turn:
        return turn

    async with provisioned(loaded.config, loaded.env, loaded.state_directory) as (services, snapshot):
        call = Call(services, snapshot, new_id("cli_"), OWNER, "owner", options, "openai", args.session_key, "agent")
        try:
            check_session_header(args.session_key)
            async with await dispatch(call, turn.model, None, read_turn) as dispatched:
                await _print(dispatched.stream)
        except GatewayError as error:
            print(f"\n{printable(error.message)}", file=sys.stderr)
            return 1
    print()
    return 0


async def _print(answer: AnswerStream) -> None:
    on_terminal = sys.stdout.isatty()  # which must not obey a model; a pipe gets the exact text
    async with aclosing(answer.events()) as batches:
        async for batch in batches:
            text = "".join(event.text for event in batch if isinstance(event, TextDelta))
            print(printable(text, lines=True) if on_terminal else text, end="", flush=True)
