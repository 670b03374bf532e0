"""Text of strangers, wrapped so that a model can tell it from what it was told (recorded form)."""

import hashlib
import re
import unicodedata

_NO_TEXT = "[No extractable text]"
# What no reader sees, so that a word is the same with it.
_UNSEEN = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
# Letters of other scripts, and brackets, that look like those of the markers; all else NFKC makes plain.
_ALIKE = {
    "<": "\u02c2\u1438\u2039\u2329\u276c\u276e\u2770\u27e8\u29fc\u3008",
    ">": "\u02c3\u1433\u203a\u232a\u276d\u276f\u2771\u27e9\u29fd\u3009",
    "_": "\u2017\u203f\u2040\u2054\ufe33\ufe34\ufe4d\ufe4e\ufe4f",
    "/": "\u2044\u2215\u29f8",
    "A": "\u0391\u0410\u0430",
    "C": "\u0421\u0441\u03f2\u03f9",
    "D": "\u0501\u13a0",
    "E": "\u0395\u0415\u0435",
    "I": "\u0399\u0406\u0456\u0131",
    "L": "\u13de\u04c0\u2113",
    "N": "\u039d\u0578",
    "O": "\u039f\u03bf\u041e\u043e",
    "R": "\u13a1",
    "S": "\u0405\u0455",
    "T": "\u03a4\u0422\u03c4\u0442",
    "U": "\u054d\u222a",
    "X": "\u03a7\u03c7\u0425\u0445",
}
_LOOKALIKES = {ord(odd): ord(plain) for plain, odds in _ALIKE.items() for odd in odds}


def _spaced(word: str) -> str:
    return f"[{_UNSEEN}]*+".join("[_\\s-]" if letter == "_" else letter for letter in word)


_MARKER = re.compile(
    rf"<[{_UNSEEN}]*+<[{_UNSEEN}]*+<[\s{_UNSEEN}]*+(?P<end>{_spaced('END_')}[{_UNSEEN}]*+)?"
    rf"{_spaced('EXTERNAL_UNTRUSTED_CONTENT')}(?:[^>\n]{{0,200}}>>>)?"
    rf"|(?P<tag><[\s{_UNSEEN}]*+/?[\s{_UNSEEN}]*+{_spaced('file')}\b(?:[^>\n]{{0,200}}>)?)",
    re.IGNORECASE,
)


def file_block(name: str, text: str, note: str = "") -> str:
    """A file's text between markers that it can't forge; `note` is ours, and stands outside of them."""
    safe = _defused(text)
    # Told by the content, so that the same request reads the same; no text can hold its own digest.
    mark = hashlib.sha256(safe.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    said = safe if safe.strip() else _NO_TEXT
    return (
        f'<file name="{name}">\n\n<<<EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\nSource: External\n---\n'
        f'{said}\n<<<END_EXTERNAL_UNTRUSTED_CONTENT id="{mark}">>>\n{note}</file>'
    )


def _defused(text: str) -> str:
    """The text without markers and file tags, in whatever letters a model could take for them."""
    plain = text if text.isascii() else _plain(text)
    pieces, end = [], 0
    for found in _MARKER.finditer(plain):
        start, stop = found.span()
        pieces.append(text[end:start])
        if found["tag"] is None:
            pieces.append("[[END_MARKER_SANITIZED]]" if found["end"] else "[[MARKER_SANITIZED]]")
        else:
            pieces += ({"<": "&lt;", ">": "&gt;"}.get(plain[at], text[at]) for at in range(start, stop))
        end = stop
    return "".join((*pieces, text[end:]))


def _plain(text: str) -> str:
    """The same length in characters, each in its plainest form."""
    plain = dict(_LOOKALIKES)
    for letter in set(text):
        simple = unicodedata.normalize("NFKC", letter)
        if ord(letter) not in plain and len(simple) == 1:
            plain[ord(letter)] = ord(simple)
    return text.translate(plain)
