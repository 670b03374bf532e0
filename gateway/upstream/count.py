"""Asks a provider to count the tokens of a prompt, where its format can. The provider computes no answer."""

from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.upstream.client import ProviderClient
from gateway.upstream.provider import Provider
from gateway.upstream.whole import ask_whole
from gateway.wire import OWN_TOOLS, UPSTREAMS
from gateway.wire.function_tools import as_functions, knows_hosted, needs_functions
from gateway.wire.model import ModelSpec

_NO_ENDPOINT = frozenset({404, 405, 501})
"""Statuses of servers that speak a format without its counting."""


def can_count(provider: Provider) -> bool:
    """Whether the provider's format can count."""
    return UPSTREAMS[provider.wire].counting is not None


async def count(
    client: ProviderClient, provider: Provider, model: ModelSpec, turn: Turn, end: float, *, fresh: bool = False
) -> int | None:
    """The tokens of the prompt, before `end` (loop time); None if the provider does not count.

    `fresh` forces a new connection. Raises UpstreamError or BadRequest.
    """
    wire = UPSTREAMS[provider.wire]
    if wire.counting is None:
        return None
    asked = wire.counting.request(_as_sent(turn, model, wire.name), model)
    wait = client.limits.fallback.first_event
    try:
        return await ask_whole(client, provider, asked, wire.counting.parse, wait=wait, end=end, fresh=fresh)
    except UpstreamError as error:
        if error.upstream_status in _NO_ENDPOINT:
            return None
        raise


def _as_sent(turn: Turn, model: ModelSpec, wire: str) -> Turn:
    """The turn with the tools as a request for an answer has them."""
    own = model.own_tools
    if not (own and wire in OWN_TOOLS and knows_hosted(turn, OWN_TOOLS)) and needs_functions(turn, wire, labelled=own):
        turn, _ = as_functions(turn, wire, labelled=own)
    if turn.tools and model.tool_schemas is not None:
        turn = model.tool_schemas.accepted(turn)
    return turn
