"""`gateway.state` (ours): where conversations and responses are stored, and how long responses are."""

from typing import Literal

from gateway.config.section import PositiveCount, Section
from gateway.config.session import Duration


class StateConfig(Section):
    """`auto` is Redis where `gateway.redis.url` is set, else a file in the state directory; `memory` is lost
    when the process ends.

    `keep_responses` is seconds, `max_response_bytes` the size of one response with its input.
    """

    backend: Literal["auto", "memory"] = "auto"
    keep_responses: Duration = 30 * 86_400.0
    max_response_bytes: PositiveCount = 16 * 2**20
