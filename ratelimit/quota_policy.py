"""What is limited: named policies, and which of them apply to whom. Counting is the business of `quota`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from limits import RateLimitItemPerSecond

from ratelimit.errors import PolicyError

Counted = Literal["requests", "tokens", "runs"]
Attributes = tuple[tuple[str, str], ...]
"""Who asks for what, as pairs of name and value, such as `(("identity", "alice"), ("model", "small"))`."""


class _Window(RateLimitItemPerSecond):
    """A policy in the terms of `limits`. Its keys don't hold the amount, so that what was counted outlives a change."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return str(identifiers[0])


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """`amount` of `counts` within `window` whole seconds (a sliding window); `runs` are those at the same time and know
    no window.

    Each combination of values of the attributes named in `per` has this quota for itself; without any, all share it.
    `only` restricts the policy to askers whose attribute has one of the values, or begins with one that ends in `*`.
    Raises `PolicyError`.
    """

    name: str
    counts: Counted
    amount: int
    window: int = 60
    per: tuple[str, ...] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    item: RateLimitItemPerSecond = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.amount < 1:
            raise PolicyError(f"{self.name}: amount must be a whole number of at least 1, not {self.amount}")
        if self.window < 1:
            raise PolicyError(f"{self.name}: window must be whole seconds, at least 1, not {self.window}")
        object.__setattr__(self, "item", _Window(self.amount, self.window))

    def applies(self, attributes: Mapping[str, str]) -> bool:
        """Whether an asker with these attributes is under this policy."""
        return all(_is_one_of(attributes.get(name, ""), values) for name, values in self.only.items())


@dataclass(frozen=True, slots=True)
class Share:
    """One policy as it applies to one asker; `key` is the same for all who share the quota, and tells no names."""

    policy: QuotaPolicy
    key: str


def shares_of(policies: Sequence[QuotaPolicy], attributes: Attributes) -> tuple[Share, ...]:
    """All that applies to the asker. Of policies with the same name it is the first that does, so that exceptions can
    stand before a rule.
    """
    known = dict(attributes)
    shares: dict[str, Share] = {}
    for policy in policies:
        if policy.name not in shares and policy.applies(known):
            shares[policy.name] = Share(policy, _key(policy, known))
    return tuple(shares.values())


def _key(policy: QuotaPolicy, attributes: Mapping[str, str]) -> str:
    values = "\0".join(f"{name}={attributes.get(name, '')}" for name in policy.per)
    return (
        f"{policy.counts}:{policy.name}:{blake2b(values.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"
    )


def _is_one_of(value: str, wanted: Sequence[str]) -> bool:
    return any(value.startswith(one[:-1]) if one.endswith("*") else value == one for one in wanted)
