"""What each Claude model accepts, by the family and version in its id, in any provider's spelling of it.

From Anthropic's models overview and its pages on thinking, effort, prefill and structured outputs
(https://platform.claude.com/docs/en/about-claude/models/overview), as of November 2026. A new version of a family is
taken to accept what its predecessor does. Other makers' models behind this format have `OTHER`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

_CLAUDE = re.compile(
    r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d)(?:[-.](?P<minor>\d{1,2}))?(?!\d)|claude-(?P<named>[a-z]+)"
)
_DEFAULT_CAP = 32_000  # tokens of an answer whose length nobody limits; what Claude Code asks of a model


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model accepts.

    `thinking`: how it is asked to reason: not at all, with a `budget` in tokens, or `adaptive` with an effort of
    `efforts`; `thinks_always`: it can't be asked not to. `sampling`: accepts temperature, top_p and top_k. `prefill`:
    continues a trailing assistant message. `forced_tools`: accepts a `tool_choice` that demands a call. `json_schema`:
    accepts `output_config.format`. `late_system`: accepts system messages after a user's turn. `pdfs`: reads PDFs.
    `caches`: has a prompt cache. `bound`: it refuses its reasoning if anything before it has changed.
    `cap`: maximum length of an answer in tokens if nobody limits it.
    """

    thinking: Literal["none", "budget", "adaptive"] = "none"
    efforts: tuple[str, ...] = ()
    thinks_always: bool = False
    sampling: bool = True
    prefill: bool = True
    forced_tools: bool = True
    json_schema: bool = False
    late_system: bool = False
    pdfs: bool = False
    caches: bool = False
    bound: bool = False
    cap: int = 4096


OTHER = Abilities()


@lru_cache(maxsize=512)
def abilities_of(model_id: str) -> Abilities:
    """What the model of this id accepts."""
    match = _CLAUDE.search(model_id.lower())
    if match is None:
        return OTHER
    family = match["family"] or match["named"] or ""
    version = (int(match["major"]), int(match["minor"] or 0)) if match["major"] else (5, 0)
    if version < (3, 7):
        return Abilities(pdfs=version == (3, 5), cap=8192 if version == (3, 5) else 4096)
    always = family in ("fable", "mythos")
    if version < (4, 6):
        return Abilities(
            thinking="budget",
            caches=True,
            pdfs=True,
            json_schema=version >= (4, 5) or (family, version) == ("opus", (4, 1)),
            cap=_DEFAULT_CAP,
        )
    newest = version >= ((5, 1) if always else (5, 5))
    return Abilities(
        thinking="adaptive",
        efforts=("low", "medium", "high", "max") if version < (4, 7) else ("low", "medium", "high", "xhigh", "max"),
        thinks_always=always,
        sampling=version < (4, 7),
        prefill=False,
        forced_tools=not newest,
        json_schema=True,
        late_system=version >= (4, 8),
        pdfs=True,
        caches=True,
        bound=newest,
        cap=_DEFAULT_CAP,
    )
