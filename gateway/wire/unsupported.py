"""The failure for a part of a request that a wire format can't carry."""

from gateway.core.upstream_error import UpstreamError, UpstreamKind


def unsupported(wire: str, what: str) -> UpstreamError:
    """`what` names the parts in the plural: nothing of a request is left out silently."""
    return UpstreamError(
        UpstreamKind.UNSUPPORTED,
        f"This model can't be sent {what}: its format ({wire}) has no place for it. Leave it out or use another model.",
        code="unsupported_content",
    )
