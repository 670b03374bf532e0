"""Opens the conversation of a request. Its summary counts against the limits of the request's caller."""

from functools import partial

from aiohttp import web

from gateway.agents.agent import Agent
from gateway.conversations.context_window import window_of
from gateway.conversations.conversation import Conversation
from gateway.conversations.summary import ask_agent
from gateway.core.session_key import SessionKey
from gateway.core.turn import Turn
from gateway.http.keys import RUNTIME, TRACE
from gateway.http.quota import admitted_side_run


def opened(request: web.Request, key: SessionKey, turn: Turn, agent: Agent) -> Conversation:
    """A context; see `Conversations.opened`."""
    runtime = request.app[RUNTIME]
    admit = None if runtime.quota is None else partial(admitted_side_run, request, runtime.quota)
    ask = ask_agent(agent, runtime.dispatch, admit)
    window = window_of(agent.candidates[0], runtime.dispatch)
    return runtime.conversations.opened(key, turn, request[TRACE].id, ask, window=window)
