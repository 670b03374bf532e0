"""The text by which Anthropic's clients recognise a conversation that is too long.

Claude Code reads both numbers from it: how far to compact the conversation, or that compacting can't help.
"""

import re

_WORDS = "prompt is too long"
_NUMBER = r"\d[\d,]{0,14}"
_LIMIT = re.compile(rf"(?:maximum|limit|context (?:length|window|size))[^\d]{{0,60}}\b({_NUMBER})", re.IGNORECASE)
_TOKENS = re.compile(rf"\b({_NUMBER}) tokens|tokens?\b[^\d]{{0,20}}\b({_NUMBER})", re.IGNORECASE)


def overflow_text(message: str) -> str:
    """The provider's message behind Anthropic's words, with the prompt's length and the limit if it names both."""
    if _WORDS in message.lower():
        return message
    limit = _LIMIT.search(message)
    lengths = [_value(match[1] or match[2]) for match in _TOKENS.finditer(message)]
    if limit is not None and (prompt_tokens := max(lengths, default=0)) > _value(limit[1]):
        return f"{_WORDS}: {prompt_tokens} tokens > {_value(limit[1])} maximum ({message})"
    return f"{_WORDS}: {message}"


def _value(digits: str) -> int:
    return int(digits.replace(",", ""))
