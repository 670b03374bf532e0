"""Layer 3: wire formats. The table of upstream codecs by the name that a configuration gives as `api`."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.wire.contract import Upstream
from gateway.wire.openai_completions.upstream import OpenAICompletions

UPSTREAMS: Mapping[str, Upstream] = MappingProxyType({"openai-completions": OpenAICompletions()})
