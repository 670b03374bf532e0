"""Wire formats. The table of upstream codecs by the name that a configuration gives as `api`."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.wire.contract import Upstream
from gateway.wire.openai_chat.upstream import OpenAIChat

UPSTREAMS: Mapping[str, Upstream] = MappingProxyType({"openai-completions": OpenAIChat()})
