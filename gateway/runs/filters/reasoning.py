"""Separates a model's answer from reasoning in `<think>` tags, a `<final>` wrapper and reply tags in its text.

Tags are recognised only at the very beginning of an answer, where models write them; `</final>` only after `<final>`.
After the beginning, text that mentions a tag passes unchanged.
"""

import re
from typing import Any

from gateway.core.event import Batch, Finish, TextDelta, ThinkingDelta, ThinkingEnd, ToolCallBegin
from gateway.core.message import Thinking
from gateway.core.raw_text import first_character

_OPENERS = ("<think>", "<thinking>", "<final>", "[[reply_to_current]]")
_REPLY_TO = re.compile(r"\[\[\s{0,8}reply_to:[^\]]{0,200}\]\]")
_REPLY_TO_SO_FAR = re.compile(  # any prefix of such a tag
    rf"\[|\[\[\s{{0,8}}({'|'.join('reply_to:'[:size] for size in range(9))})|\[\[\s{{0,8}}reply_to:[^\]]{{0,200}}\]?"
)
_CLOSERS = {"<think>": "</think>", "<thinking>": "</thinking>"}
_FINAL_END = "</final>"


class ReasoningSplitter:
    """Splits the text of one answer into visible text and reasoning. It holds back only what may become a tag.

    `has_answer` is True once the answer itself has begun.
    """

    __slots__ = ("_closer", "_final", "_held", "_marked", "has_answer")

    def __init__(self) -> None:
        self._held = ""
        self._closer = ""
        self._final = False
        self._marked = False
        self.has_answer = False

    @property
    def transparent(self) -> bool:
        """Whether all further text belongs to the answer."""
        return self.has_answer and not self._final

    def begin_with(self, first: str) -> bool:
        """Whether a text with this first character can't begin with a tag; then all text is the answer."""
        may_be_tag = not first or first in "<[" or first.isspace()
        self.has_answer = not may_be_tag and not self._held and not self._marked and not self._closer
        return self.has_answer

    def feed(self, text: str) -> tuple[str, str]:
        """Split the next text into (visible text, reasoning); either may be empty."""
        if self.has_answer:
            return self._unwrap(text), ""
        self._held += text
        thought = ""
        while True:
            if self._closer:
                more, closed = self._think()
                thought += more
                if not closed:
                    return "", thought
            stripped = self._held.lstrip()
            opener = self._opener(stripped)
            if opener is None:
                break
            if opener == "":
                return "", thought
            self._held = stripped[len(opener) :]
            self._marked = True
            self._final = self._final or opener == "<final>"
            self._closer = _CLOSERS.get(opener, "")
        if not stripped:
            return "", thought
        self.has_answer = True
        # White space belongs to the answer, except between a tag and the answer.
        visible, self._held = (stripped if self._marked else self._held), ""
        return self._unwrap(visible), thought

    def close(self) -> tuple[str, str]:
        """End the text: held text was no complete tag, so it is text or reasoning."""
        held, self._held = self._held, ""
        return ("", held) if self._closer else (held if not (self._marked and held.isspace()) else "", "")

    def _think(self) -> tuple[str, bool]:
        thought, closer, following = self._held.partition(self._closer)
        if closer:
            self._held, self._closer = following, ""
            return thought, True
        keep = _overlap(self._held, self._closer)
        split = len(self._held) - keep
        thought, self._held = self._held[:split], self._held[split:]
        return thought, False

    def _opener(self, text: str) -> str | None:
        """The tag at the beginning of `text`, "" if it may become one, None if it is none."""
        for opener in _OPENERS:
            if text.startswith(opener):
                return opener
        if match := _REPLY_TO.match(text):
            return match.group()
        if any(opener.startswith(text) for opener in _OPENERS) or _REPLY_TO_SO_FAR.fullmatch(text):
            return ""
        return None

    def _unwrap(self, text: str) -> str:
        if not self._final:
            return text
        text, self._held = self._held + text, ""
        if _FINAL_END in text:
            before, _, after = text.partition(_FINAL_END)
            self._final = False
            return before + after
        keep = _overlap(text, _FINAL_END)
        split = len(text) - keep
        self._held = text[split:]
        return text[:split]


def _overlap(text: str, tag: str) -> int:
    """The number of characters at the end of `text` that may begin `tag`."""
    for size in range(min(len(text), len(tag) - 1), 0, -1):
        if tag.startswith(text[-size:]):
            return size
    return 0


class ReasoningFilter:
    """A filter that turns reasoning in the text of an answer into Thinking events. The block ends at other content.

    The block has no owner, because no model needs reasoning from its text back.
    """

    __slots__ = ("_text", "_thoughts")

    def __init__(self) -> None:
        self._text = ReasoningSplitter()
        self._thoughts: list[str] = []

    def feed(self, batch: Batch) -> Batch:
        """See `gateway.runs.filters.contract.EventFilter`."""
        text = self._text
        if text.transparent or (not text.has_answer and _plain_start(batch, text)):
            return batch
        split: Batch = []
        for position, event in enumerate(batch):
            if text.transparent:
                return split + batch[position:]
            if isinstance(event, TextDelta):
                self._add(split, *text.feed(event.text), event.logprobs)
                continue
            if isinstance(event, Finish):
                self._add(split, *text.close())
            if isinstance(event, Finish | ToolCallBegin):
                self._end_block(split)
            split.append(event)
        return split

    def _add(self, batch: Batch, shown: str, thought: str, logprobs: Any = None) -> None:
        if thought:
            self._thoughts.append(thought)
            batch.append(ThinkingDelta(thought))
        if shown:
            self._end_block(batch)
            batch.append(TextDelta(shown, logprobs))

    def _end_block(self, batch: Batch) -> None:
        if self._thoughts:
            batch.append(ThinkingEnd(Thinking("".join(self._thoughts))))
            self._thoughts.clear()


def _plain_start(batch: Batch, text: ReasoningSplitter) -> bool:
    """Whether the answer begins with text that can't be a tag, as nearly every answer does."""
    first = batch[0]
    if not isinstance(first, TextDelta):
        return False
    raw = first.raw
    # The usual token is a word with a space before it.
    return text.begin_with(raw.lstrip()[:1] if isinstance(raw, str) else first_character(raw))
