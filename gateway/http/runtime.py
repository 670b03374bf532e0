"""The objects that handlers use: the agents, providers and settings of the current configuration."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.agents.directory import Directory
from gateway.conversations.conversation import Conversations
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.runs.context import RunContext
from gateway.runs.trace import RecentRuns
from gateway.state.configured import Stores
from gateway.tools.registry import Registry
from gateway.upstream.embed import Embedder
from ratelimit import Quota


@dataclass(frozen=True, slots=True)
class Runtime:
    """One provisioned configuration. Times are seconds.

    `recent` are the recent runs for operators. `stores` are the stores. `tools` are the tool servers, None without any.
    `images` is for chat; `response_images`, `response_files` and `max_url_parts` are for the responses endpoint.

    `heartbeat` is the interval between comments of an idle stream. `opening` is the wait for the first event, after
    which a stream starts without one. `body_timeout` is the timeout of a request body. `started` is a loop time.
    `quota` is None unless `gateway.limits` has rules.
    """

    directory: Directory
    dispatch: RunContext
    recent: RecentRuns
    stores: Stores
    conversations: Conversations
    embedders: Mapping[str, Embedder]
    tools: Registry | None
    images: ImagePolicy
    response_images: ImagePolicy
    response_files: FilePolicy
    max_url_parts: int
    report_upstream_model: bool
    heartbeat: float
    opening: float
    body_timeout: float
    started: float
    quota: Quota | None = None
