"""What is limited: named policies, and which of them apply to a caller. `quota` counts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, get_args

from limits import RateLimitItem, RateLimitItemPerSecond

from openclaw_ratelimit.checks import require_count, require_whole_seconds
from openclaw_ratelimit.errors import PolicyError, UsageError
from openclaw_ratelimit.notation import parsed

Counted = Literal["requests", "tokens", "runs", "cost"]
Attributes = Mapping[str, str] | tuple[tuple[str, str], ...]
"""The attributes of a request: `{"identity": "alice", "model": "small"}`, or the same as pairs, a little faster."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OVERFLOW = "overflow"


class _Window(RateLimitItemPerSecond):
    """A policy in the terms of `limits`. Its keys don't hold the amount, so that what was counted outlives a change."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return str(identifiers[0])


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """`amount` of `counts` within `window` whole seconds (a sliding window); `runs` are those at the same time and know
    no window; `cost` is money in any small unit. With `QuotaPolicy.parse` both are written in the notation of `limits`.

    Each combination of values of the attributes named in `per` has this quota for itself; without any, all share it.
    `only` restricts the policy to callers whose attribute has one of the values, or begins with one that ends in `*`.
    `name` goes into headers and keys. A `strict` policy of tokens reserves the worst case instead of the estimate, so
    that work whose worst case is known never exceeds the amount. Raises `PolicyError`.
    """

    name: str
    counts: Counted
    amount: int
    window: int = 60
    per: tuple[str, ...] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    strict: bool = False
    item: RateLimitItemPerSecond = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise PolicyError(f"name must be 1 to 64 letters, digits, dots, dashes or underscores, not {self.name!r}")
        if self.counts not in get_args(Counted):
            raise PolicyError(f"{self.name}: counts must be one of {', '.join(get_args(Counted))}, not {self.counts!r}")
        require_count(f"{self.name}: amount", self.amount)
        require_whole_seconds(f"{self.name}: window", self.window)
        object.__setattr__(self, "per", _names(f"{self.name}: per", self.per))
        if not isinstance(self.only, Mapping):
            raise PolicyError(f"{self.name}: only must map attributes to values, not {self.only!r}")
        only = {name: _names(f"{self.name}: only[{name!r}]", values) for name, values in self.only.items()}
        object.__setattr__(self, "only", only)
        object.__setattr__(self, "item", _Window(self.amount, self.window))

    @classmethod
    def parse(
        cls,
        name: str,
        text: str | RateLimitItem,
        *,
        counts: Counted = "requests",
        per: tuple[str, ...] = (),
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> "QuotaPolicy":
        """`QuotaPolicy.parse("login", "5/minute", per=("address",))`. Raises PolicyError."""
        if counts == "runs":
            raise PolicyError(f"{name}: runs know no window; write QuotaPolicy({name!r}, 'runs', amount)")
        amount, window = parsed(text)
        return cls(name, counts, amount, window, per, only or {})

    def applies(self, attributes: Mapping[str, str]) -> bool:
        """Whether a caller with these attributes is under this policy. Raises UsageError for a missing attribute."""
        for name in (*self.per, *self.only):
            if name not in attributes:
                raise UsageError(
                    f"policy {self.name!r} looks at the attribute {name!r}, but only "
                    f"{', '.join(map(repr, attributes)) or 'nothing'} was given"
                )
        return all(_is_one_of(attributes[name], values) for name, values in self.only.items())


@dataclass(frozen=True, slots=True)
class Share:
    """One policy as it applies to one caller; `key` is the same for all who share the quota, and holds no names."""

    policy: QuotaPolicy
    key: str

    def overflow(self) -> "Share":
        """The share of all callers for whom there is no room in the table of counts."""
        return Share(self.policy, f"{self.policy.counts}:{self.policy.name}:{_OVERFLOW}")


def check_policies(policies: Sequence[QuotaPolicy]) -> tuple[QuotaPolicy, ...]:
    """The policies of one quota. Raises PolicyError when one of them could never apply."""
    if isinstance(policies, QuotaPolicy):
        raise PolicyError("policies must be a sequence of QuotaPolicy objects; put this one into a list")
    unrestricted: set[str] = set()
    for policy in policies:
        if not isinstance(policy, QuotaPolicy):
            raise PolicyError(f"policies must be QuotaPolicy objects, not {type(policy).__name__}")
        if policy.name in unrestricted:
            raise PolicyError(
                f"{policy.name}: an earlier policy has this name and applies to everybody, so this one never would; "
                "give it another name, or put it first with `only`"
            )
        if not policy.only:
            unrestricted.add(policy.name)
    return tuple(policies)


def pairs_of(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    """The attributes as hashable pairs of text. Raises UsageError."""
    pairs = tuple(attributes.items()) if isinstance(attributes, Mapping) else attributes
    try:
        checked = tuple((name, _text(name, value)) for name, value in pairs)
    except (TypeError, ValueError):
        raise UsageError(
            f'attributes must be a mapping such as {{"address": "203.0.113.9"}}, not {attributes!r:.100}'
        ) from None
    if not all(isinstance(name, str) for name, _ in checked):
        raise UsageError("names of attributes must be text")
    return checked


def shares_of(policies: Sequence[QuotaPolicy], attributes: tuple[tuple[str, str], ...]) -> tuple[Share, ...]:
    """All that applies to the caller. Of policies with the same name it is the first that does, so that exceptions can
    stand before a rule. Raises UsageError for a missing attribute.
    """
    known = dict(pairs_of(attributes))
    shares: dict[str, Share] = {}
    for policy in policies:
        if policy.name not in shares and policy.applies(known):
            shares[policy.name] = Share(policy, _key(policy, known))
    return tuple(shares.values())


def _key(policy: QuotaPolicy, attributes: Mapping[str, str]) -> str:
    values = "\0".join(f"{len(attributes[name])}:{name}={attributes[name]}" for name in policy.per)
    return (
        f"{policy.counts}:{policy.name}:{blake2b(values.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"
    )


def _is_one_of(value: str, wanted: Sequence[str]) -> bool:
    return any(value.startswith(one[:-1]) if one.endswith("*") else value == one for one in wanted)


def _names(field_name: str, names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise PolicyError(f'{field_name} must be a sequence of text such as ("address",), not {names!r}')
    return tuple(names)


def _text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        raise UsageError(f"the attribute {name!r} must be str or bytes, not {type(value).__name__}")
    return value
