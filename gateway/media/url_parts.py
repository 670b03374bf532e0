"""Limits the parts of a request that are URLs. Each one costs a fetch, so the whole conversation counts (recorded)."""

from gateway.core.errors import BadRequest
from gateway.core.message import File, Image
from gateway.core.turn import Turn


def check_url_parts(turn: Turn, limit: int, field: str = "input") -> None:
    """Raises BadRequest for more than `limit` images and files by URL; `field` is the request's field with them."""
    count = sum(
        (isinstance(part, Image) and part.url[:5].lower() != "data:") or (isinstance(part, File) and bool(part.url))
        for message in turn.messages
        for part in message.parts
    )
    if count > limit:
        raise BadRequest(f"`{field}`: {count} images and files are URLs; at most {limit} may be.", param=field)
