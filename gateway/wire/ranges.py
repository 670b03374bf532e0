"""Numbers of a client's request, checked against the ranges that OpenAI's formats share."""

from gateway.core.errors import BadRequest

_MAX_SAFE = 2**53 - 1  # JavaScript's largest exact integer, OpenClaw's upper bound of token caps


def token_cap(field: str, value: float | None) -> int | None:
    """A whole number above 0. Raises BadRequest."""
    return whole(field, value, 1, _MAX_SAFE)


def whole(field: str, value: float | None, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`. Raises BadRequest."""
    if value is None:
        return None
    if value != int(value):
        raise BadRequest(f"`{field}`: must be a whole number.", param=field)
    if not low <= value <= high:
        raise BadRequest(f"`{field}`: must be between {low} and {high}.", param=field)
    return int(value)


def within(field: str, value: float | None, low: float, high: float, described: str) -> float | None:
    """A number from `low` to `high`, which the refusal calls `described`. Raises BadRequest."""
    if value is not None and not low <= value <= high:
        raise BadRequest(f"`{field}` must be between {described}.", param=field)
    return value
