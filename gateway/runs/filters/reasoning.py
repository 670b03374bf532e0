"""What of a model's text is the answer: reasoning in `<think>` tags, a `<final>` wrapper and reply tags are not.

All of these are recognised where models put them, at the very beginning of an answer; a `</final>` only after a
`<final>`. Text that mentions such a tag later is left alone, and once the answer has begun nothing is looked at again.
"""

import re
from typing import Any

from gateway.core.event import Batch, Finish, TextDelta, ThinkingDelta, ThinkingEnd, ToolCallBegin
from gateway.core.message import Thinking
from gateway.core.raw_text import first_character

_OPENERS = ("<think>", "<thinking>", "<final>", "[[reply_to_current]]")
_REPLY_TO = re.compile(r"\[\[\s{0,8}reply_to:[^\]]{0,200}\]\]")
_REPLY_TO_SO_FAR = re.compile(  # whatever may become one
    rf"\[|\[\[\s{{0,8}}({'|'.join('reply_to:'[:size] for size in range(9))})|\[\[\s{{0,8}}reply_to:[^\]]{{0,200}}\]?"
)
_CLOSERS = {"<think>": "</think>", "<thinking>": "</thinking>"}
_FINAL_END = "</final>"


class ReasoningSplitter:
    """Splits the text of one answer into what is shown and what is thought; holds back only what may be a tag."""

    __slots__ = ("_closer", "_final", "_held", "_marked", "begun")

    def __init__(self) -> None:
        self._held = ""
        self._closer = ""
        self._final = False
        self._marked = False
        self.begun = False

    @property
    def transparent(self) -> bool:
        """Whether all further text is simply the answer."""
        return self.begun and not self._final

    def begin_with(self, first: str) -> bool:
        """Whether text with this first character begins the answer and can't be a tag; then all of it is the answer."""
        may_be_tag = not first or first in "<[" or first.isspace()
        self.begun = not may_be_tag and not self._held and not self._marked and not self._closer
        return self.begun

    def feed(self, text: str) -> tuple[str, str]:
        """More text → (visible, thought); either may be empty."""
        if self.begun:
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
        self.begun = True
        # White space belongs to the answer, unless it only separated it from a tag.
        visible, self._held = (stripped if self._marked else self._held), ""
        return self._unwrap(visible), thought

    def close(self) -> tuple[str, str]:
        """The end of the text: what was held back is what it looked like."""
        held, self._held = self._held, ""
        return ("", held) if self._closer else (held if not (self._marked and held.isspace()) else "", "")

    def _think(self) -> tuple[str, bool]:
        thought, found, rest = self._held.partition(self._closer)
        if found:
            self._held, self._closer = rest, ""
            return thought, True
        keep = _overlap(self._held, self._closer)
        split = len(self._held) - keep
        thought, self._held = self._held[:split], self._held[split:]
        return thought, False

    def _opener(self, text: str) -> str | None:
        """The tag that `text` begins with, "" while it may become one, None when it is none."""
        for opener in _OPENERS:
            if text.startswith(opener):
                return opener
        if found := _REPLY_TO.match(text):
            return found.group()
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
    """How many characters at the end of `text` may be the beginning of `tag`."""
    for size in range(min(len(text), len(tag) - 1), 0, -1):
        if tag.startswith(text[-size:]):
            return size
    return 0


class ReasoningFilter:
    """Splits reasoning off the text of an answer: the block that its deltas make ends where other content begins.

    Such a block has no owner: models want their own tags back from nobody.
    """

    __slots__ = ("_text", "_thoughts")

    def __init__(self) -> None:
        self._text = ReasoningSplitter()
        self._thoughts: list[str] = []

    def feed(self, batch: Batch) -> Batch:
        """See `gateway.runs.filters.contract.EventFilter`."""
        text = self._text
        if text.transparent or (not text.begun and _plain_start(batch, text)):
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
    """Whether the answer begins here with something that can't be a tag, as nearly every answer does."""
    first = batch[0]
    return isinstance(first, TextDelta) and text.begin_with(first_character(first.raw))
