"""What an administrator may give to a key: a key that is itself bounded makes none that exceeds its bounds."""

from gateway.core.client_key import KeyRecord, format_time
from gateway.core.errors import Forbidden
from gateway.core.identity import Principal, granted


def require_within(creator: Principal, record: KeyRecord) -> None:
    """Raises Forbidden if the new key could do more than its creator.

    A creator with limits or a budget of its own makes no keys: each would have its amounts anew, and any number of keys
    can be made.
    """
    if creator.limits is not None or creator.budget is not None:
        raise _exceeds("This key has limits or a budget of its own, so it can't create keys.", None)
    if not granted(frozenset(record.scopes)) <= granted(creator.scopes):
        own = ", ".join(sorted(creator.scopes))
        raise _exceeds(f"`scopes`: this key has only {own}, and can't give others.", "scopes")
    if creator.agents is not None and (record.agents is None or not creator.agents.issuperset(record.agents)):
        own = ", ".join(sorted(creator.agents)) or "none"
        raise _exceeds(f"`agents`: this key may use only {own}. Name some of these agents.", "agents")
    if creator.expires is not None and (record.expires is None or record.expires > creator.expires):
        end = format_time(creator.expires)
        raise _exceeds(f"`expires_at`: this key expires at {end}. Choose that time or an earlier one.", "expires_at")


def _exceeds(message: str, param: str | None) -> Forbidden:
    return Forbidden(f"{message} The gateway's token can create any key.", param=param, code="key_exceeds_creator")
