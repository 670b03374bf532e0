"""The two things that requests use: the services of this process and the snapshot of a configuration.

Services live as long as the process. A snapshot belongs to one configuration and never changes. `gateway.http.chain`
binds the current snapshot to each request, which uses it to its end, so a reload only has to replace the snapshot.
What a snapshot holds is closed when nothing refers to its `lifetime` any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.access.client import ClientResolver
from gateway.access.cors import CorsPolicy
from gateway.access.host import HostPolicy
from gateway.access.key_registry import KeyRegistry
from gateway.access.modes import Authenticator
from gateway.agents.directory import Directory
from gateway.conversations.conversation import Conversations
from gateway.core.client_key import KeyRecord
from gateway.core.lifetime import Lifetime
from gateway.ledger.ledger import Ledger
from gateway.media.files import FilePolicy
from gateway.media.images import ImagePolicy
from gateway.runs.context import RunContext
from gateway.runs.recent_runs import RecentRuns
from gateway.state.configured import Stores
from gateway.tools.registry import Registry
from gateway.traces.traces import Traces
from gateway.upstream.embed import Embedder
from gateway.wire.openai_chat.embeddings import EmbeddingLimits
from openclaw_ratelimit import Quota


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that live as long as the process.

    `recent` holds the traces of recent runs for operators. `started` is loop time in seconds. `keys` are the keys of
    clients that are made at run time, None where the auth mode checks none. `ledger` is None if the use of providers is
    not recorded, `traces` if none are exported.
    """

    stores: Stores
    recent: RecentRuns
    started: float
    keys: KeyRegistry | None = None
    ledger: Ledger | None = None
    traces: Traces | None = None


@dataclass(frozen=True, slots=True)
class MediaPolicies:
    """The limits of media in requests: `images` for chat requests; `response_images`, `response_files` and at most
    `max_url_parts` parts by URL for Responses requests; Messages requests have the same, with `message_images`.
    """

    images: ImagePolicy
    response_images: ImagePolicy
    message_images: ImagePolicy
    response_files: FilePolicy
    max_url_parts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One configuration in its usable form. Times are seconds.

    `endpoints` are the keys of the enabled endpoints. `hosts` is the rule for `Host`, None if every one is answered.
    `tools` are the tool servers, None without any. `quota` is None where there are neither limits nor budgets nor
    client keys, which bring their own. `soft_budgets` are the amounts of the budgets that only warn, by policy.
    `declared_keys` are those of `gateway.keys` by name.
    `heartbeat` is the pause between the comments of an idle stream. `opening` is the time after which a stream is
    opened although it has no event yet. `body_timeout` is the time limit for a request body. `session_from_user`: the
    field `user` of a request names its conversation.
    """

    endpoints: frozenset[str]
    hosts: HostPolicy | None
    directory: Directory
    runs: RunContext
    conversations: Conversations
    tools: Registry | None
    quota: Quota | None
    soft_budgets: Mapping[str, int]
    embedders: Mapping[str, Embedder]
    media: MediaPolicies
    clients: ClientResolver
    authenticator: Authenticator
    declared_keys: Mapping[str, KeyRecord]
    report_upstream_model: bool
    heartbeat: float
    opening: float
    body_timeout: float
    lifetime: Lifetime = field(default_factory=Lifetime)
    session_from_user: bool = True
    cors: CorsPolicy = field(default_factory=CorsPolicy)
    embedding_limits: EmbeddingLimits = field(default_factory=EmbeddingLimits)
