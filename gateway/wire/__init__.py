"""Wire formats. The table of codecs towards providers, by the name that a configuration gives as `api`."""

from collections.abc import Mapping

from gateway.wire.contract import UpstreamFormat
from gateway.wire.openai_chat.upstream import OpenAIChat

DEFAULT_UPSTREAM = "openai-completions"
"""What a provider speaks that doesn't say."""

UPSTREAMS: Mapping[str, UpstreamFormat] = {
    "openai-completions": OpenAIChat(),
}
