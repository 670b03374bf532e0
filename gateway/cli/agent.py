"""`openclaw-gateway agent`: one run of an agent, the same code path as HTTP, streamed to the terminal."""

import argparse
import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from gateway.cli.check import BUILT_IN
from gateway.cli.first_run import ensure_config
from gateway.cli.main import COMMANDS, config_option
from gateway.config.load import Loaded, load
from gateway.conversations.context_window import window_of
from gateway.conversations.summary import ask_agent
from gateway.core.errors import GatewayError
from gateway.core.event import TextDelta
from gateway.core.identity import OWNER
from gateway.core.ids import new_id
from gateway.core.message import Message, Text
from gateway.core.session_key import check_session_header, session_key
from gateway.core.turn import Turn
from gateway.observe import log as logs
from gateway.provision import provisioned
from gateway.runs.answer_stream import AnswerStream
from gateway.runs.run import RunOptions, prepare

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers


def add_parser(sub: "Subparsers") -> None:
    """`agent --message TEXT [--agent ID] [--session-key KEY] [--model REF]`; `-` as TEXT reads standard input."""
    parser = sub.add_parser("agent", help=COMMANDS["agent"], description=__doc__)
    config_option(parser)
    parser.add_argument("--agent", metavar="ID", help="agent to ask (default: the default agent)")
    parser.add_argument("--message", "-m", metavar="TEXT", required=True, help="what to say; - reads standard input")
    parser.add_argument("--session-key", metavar="KEY", help="go on with this conversation (default: none is kept)")
    parser.add_argument("--model", metavar="REF", help="answer with this model instead (provider/model)")


def run(args: argparse.Namespace) -> int:
    """Print the answer as it comes. 0 when it is complete, 1 when it failed, 130 when Ctrl-C cancelled it."""
    path = Path(args.config) if args.config else None
    ensure_config(path, os.environ)
    loaded = load(path, os.environ, catalogue=BUILT_IN)
    logs.configure(stream_is_tty=sys.stderr.isatty(), level="warn")
    message = sys.stdin.read() if args.message == "-" else args.message
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_ask(loaded, args.agent, message, args.model, args.session_key))


async def _ask(loaded: Loaded, agent_id: str | None, message: str, model: str | None, session: str | None) -> int:
    turn = Turn(model="openclaw", messages=(Message("user", (Text(message),)),), stream=True)
    options = RunOptions(model, agent_id, "cli")
    async with provisioned(loaded.config, loaded.env, loaded.state_directory) as runtime:
        try:
            agent = runtime.directory.resolve(turn.model, agent_id)
            check_session_header(session)
            key = session_key(session, None, endpoint="openai", agent=agent.id, principal=OWNER)
            if key is None:
                await _print(await prepare(agent, turn, options, runtime.dispatch))
            else:
                ask, window = ask_agent(agent, runtime.dispatch), window_of(agent.candidates[0], runtime.dispatch)
                opened = runtime.conversations.opened(key, turn, new_id("cli_"), ask, window=window)
                async with opened as conversation:
                    started = await prepare(agent, conversation.turn, options, runtime.dispatch)
                    await _print(conversation.recorded(conversation.fitted(started)))
        except GatewayError as error:
            print(f"\n{error.message}", file=sys.stderr)
            return 1
    print()
    return 0


async def _print(running: AnswerStream) -> None:
    async with aclosing(running.events()) as events:
        async for batch in events:
            print("".join(event.text for event in batch if isinstance(event, TextDelta)), end="", flush=True)
