"""What handlers work with: the agents, providers and settings of the configuration in force."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.agents.conversation import Conversations
from gateway.agents.directory import Directory
from gateway.agents.dispatch import Dispatch
from gateway.agents.trail import RecentRuns
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.state.configured import Stores
from gateway.tools.registry import Registry
from gateway.upstream.embed import Embedder
from openclaw_ratelimit import Quota


@dataclass(frozen=True, slots=True)
class Runtime:
    """One configuration, provisioned. Times are seconds.

    `recent` are the runs that operators may look at, `stores` what outlives a request, `tools` the tool servers, None
    without any. `images` are chat's; `response_images`, `response_files` and `max_url_parts` belong to the responses
    endpoint.

    `heartbeat` is the pause between comments of an idle stream, `opening` the wait for a first event after which a
    stream is opened without one, `body_timeout` the time for a request body to arrive, `started` a loop time.
    `quota` is there only when `gateway.limits` has rules.
    """

    directory: Directory
    dispatch: Dispatch
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
