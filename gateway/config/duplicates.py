"""Keys that a JSON5 object has more than once: its parser takes the last one and says nothing about the others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyjson5

from gateway.config.problems import join

_TOKEN = re.compile(
    r"""
    (?P<space> [\s\ufeff]+ | //[^\n\r\u2028\u2029]* | /\*.*?\*/ )
  | (?P<string> "[^"\\]*(?:\\.[^"\\]*)*" | '[^'\\]*(?:\\.[^'\\]*)*' )
  | (?P<mark> [{}\[\],:] )
  | (?P<word> [^\s\ufeff{}\[\],:"'/]+ )
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The path of a key, and the lines in which it is for the first and for the last time, from 1."""

    path: str
    first: int
    last: int


@dataclass(slots=True)
class _Open:
    """An object or array that is being read: its path, the member that is next, and where each key was first."""

    path: str
    is_object: bool
    member: str | int = 0
    expects_key: bool = False
    keys: dict[str, int] = field(default_factory=dict)


def duplicates(text: str) -> Iterator[Duplicate]:
    """The duplicate keys of a text that is valid JSON5, once for each repetition, in the order of the text."""
    stack: list[_Open] = []
    for token in _TOKEN.finditer(text):
        top = stack[-1] if stack else None
        match token[0] if token.lastgroup == "mark" else token.lastgroup:
            case "{" | "[" as bracket:
                is_object = bracket == "{"
                path = "" if top is None else join(top.path, top.member)
                stack.append(_Open(path, is_object, expects_key=is_object))
            case "}" | "]":
                stack.pop()
            case "," if top is not None:
                top.expects_key = top.is_object
                if isinstance(top.member, int):
                    top.member += 1
            case "string" | "word" if top is not None and top.expects_key:
                top.expects_key = False
                top.member = name = _name(token[0])
                first = top.keys.setdefault(name, token.start())
                if first != token.start():
                    yield Duplicate(join(top.path, name), _line(text, first), _line(text, token.start()))


def _name(token: str) -> str:
    """The key that a string or an identifier stands for; either may have escapes."""
    is_quoted = token[0] in "\"'"
    if "\\" in token:
        return str(pyjson5.decode(token if is_quoted else f'"{token}"'))
    return token[1:-1] if is_quoted else token


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
