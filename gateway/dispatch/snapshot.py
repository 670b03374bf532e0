"""What requests work with: the services of this process, and the snapshot of one configuration.

Services live as long as the process. A snapshot is made from one configuration and never changes; a request keeps the
one that it began with (`gateway.http.chain` binds it), so a reload is a swap.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.access.client import ClientResolver
from gateway.access.modes import Authenticator
from gateway.agents.directory import Directory
from gateway.conversations.conversation import Conversations
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.runs.context import RunContext
from gateway.runs.trace import RecentRuns
from gateway.state.configured import Stores
from gateway.tools.registry import Registry
from gateway.upstream.embed import Embedder
from openclaw_ratelimit import Quota


@dataclass(frozen=True, slots=True)
class Services:
    """What outlives requests and configurations.

    `recent` are the runs that operators may look at, `tools` the tool servers, None without any. `started` is a loop
    time. `quota` is there only when `gateway.limits` has rules.
    """

    stores: Stores
    conversations: Conversations
    recent: RecentRuns
    tools: Registry | None
    started: float
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class MediaPolicies:
    """What is let in: `images` of chat requests; `response_images`, `response_files` and at most `max_url_parts` parts
    by URL of Responses requests.
    """

    images: ImagePolicy
    response_images: ImagePolicy
    response_files: FilePolicy
    max_url_parts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One configuration, ready for use. Times are seconds.

    `heartbeat` is the pause between comments of an idle stream, `opening` the wait for a first event after which a
    stream is opened without one, `body_timeout` the time for a request body to arrive.
    """

    directory: Directory
    runs: RunContext
    embedders: Mapping[str, Embedder]
    media: MediaPolicies
    clients: ClientResolver
    authenticator: Authenticator
    report_upstream_model: bool
    heartbeat: float
    opening: float
    body_timeout: float
